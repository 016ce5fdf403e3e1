"""What is served is what was trained: other bytes in the place of a model's file are refused, on a real MLflow."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from support.batches import publish_batch
from support.http import get
from support.inference import Inference
from support.listings import api_rows
from support.models import served_model, train
from support.testbed import Process, wait_until
from support.trainings import ended, request_training
from veleta.events.catalogue import ModelPromoted, ModelRegistered
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, NATIVE, Version
from veleta.tables import promotions

REFUSAL = "version {} is refused: the model's file is not the one that was trained"
Overwrite = Callable[[Version], None]


@pytest.fixture
def overwrite(inference: Inference, tmp_path: Path) -> Overwrite:
    """Puts a valid model with other prices over the file of a version, as one who can write to MLflow's folder."""
    client = MlflowClient(inference.testbed.mlflow_uri)

    def put(version: Version) -> None:
        train(inference.testbed.dataset, tmp_path / "model.cbm", 3.0)
        client.log_artifact(version.run_id, str(tmp_path / "model.cbm"), "native")

    return put


@pytest.mark.failure("F365")
def test_a_champion_with_other_bytes_is_not_compared_and_is_replaced(
    inference: Inference, overwrite: Overwrite, tmp_path: Path
) -> None:
    """The reason is in the decision. The new version has its SHA-256 in its events and in its tag, and is served."""
    testbed = inference.testbed
    champion = inference.models.register(2.0)
    inference.models.registry.set_alias("champion", champion.number)
    overwrite(champion)
    publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(4, 300, 1)))
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20) as trainer:
        trainer.wait_until_ready()
        request_training(testbed, 1, 0)
        wait_until(lambda: ended(testbed, "1/0"), 120, "the training ends")
    last = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))[-1]
    reason = f"version {champion.number} cannot be evaluated: the model's file is not the one that was trained"
    assert (last.decision, last.reason.startswith(reason)) == ("promoted", True)
    version = inference.models.registry.version(last.version)
    assert version is not None
    digest = model_digest(inference.models.registry.download_native(version, tmp_path).read_bytes())
    events = [event.payload for event in testbed.events("models")]
    trained = [e for e in events if isinstance(e, ModelRegistered | ModelPromoted) and e.version == version.number]
    assert {e.native_digest for e in trained} == {version.tags[DIGEST]} == {digest}
    inference.wait_until_serving(version)
    inference.models.seq = last.seq


@pytest.mark.failure("F365")
@pytest.mark.parametrize("known", ["the event", "the tag"])
def test_other_bytes_are_not_swapped_in(inference: Inference, overwrite: Overwrite, known: str) -> None:
    """The SHA-256 is in the event, or only in the tag of the version. The served version stays, and /readyz says it."""
    served = inference.model().json["version"]
    version = inference.models.register(2.0)
    overwrite(version)
    letters = len(inference.dead_letters())
    announced = version if known == "the event" else replace(version, tags={NATIVE: version.tags[NATIVE]})
    inference.models.decide(announced)
    wait_until(
        lambda: REFUSAL.format(version.number) in inference.readiness().json["doing"], 20, "the refusal is shown"
    )
    assert inference.model().json["version"] == served
    wait_until(lambda: len(inference.dead_letters()) == letters + 1, what="a dead letter")


@pytest.mark.failure("F365")
def test_other_bytes_are_not_served_after_a_start(inference: Inference, overwrite: Overwrite) -> None:
    """A process that serves the version goes on. A new one serves the version before it, and names the fault."""
    before = inference.models.promote()
    inference.wait_until_serving(before)
    version = inference.models.promote(2.0)
    inference.wait_until_serving(version)
    price = inference.predict(inference.example()).price
    overwrite(version)
    with inference.second_process() as second:
        assert served_model(second.url)["version"] == before.number
        assert REFUSAL.format(version.number) in _doing(second)
    assert inference.predict(inference.example()).price == price


@pytest.mark.failure("F366")
def test_a_version_without_a_digest_is_served_with_a_warning(inference: Inference) -> None:
    """An earlier release trained it: its event and its tags have none. The next version removes the warning."""
    version = inference.models.register()
    MlflowClient(inference.testbed.mlflow_uri).delete_model_version_tag(
        inference.testbed.dataset.name, str(version.number), DIGEST
    )
    inference.models.decide(replace(version, tags={NATIVE: version.tags[NATIVE]}))
    inference.wait_until_serving(version)
    assert "has no SHA-256" in inference.readiness().json["warnings"]["digest"]
    inference.wait_until_serving(inference.models.promote())
    assert "digest" not in inference.readiness().json["warnings"]


def _doing(inference: Process) -> str:
    return str(get(f"{inference.url}/readyz")[1]["doing"])
