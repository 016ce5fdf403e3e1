"""Commands to the trainer as a process, on real Kafka, MariaDB and MLflow, with inference that follows."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from support.http import get
from support.models import Models, served_model
from support.testbed import Process, Testbed, wait_until
from support.trainer_commands import obey
from veleta.events.catalogue import CommandAccepted, CommandRefused, Promote, Rollback
from veleta.ports import ARTIFACTS
from veleta.tables import promotions
from veleta_retention.adapters.versions import MlflowArtifacts

NAMES = ("file", "model", "features", "example")
"""The checks of a version."""


@pytest.fixture(scope="module")
def models(testbed: Testbed) -> Models:
    """Four versions: the first is the champion, the third has no model in its file, the fourth has wrong prices."""
    made = Models(testbed)
    made.promote()
    made.register(1.1)
    made.register(damage=lambda file: file.write_bytes(b"no model"))
    made.register(1e6)
    return made


@pytest.fixture(scope="module")
def trainer(testbed: Testbed, models: Models) -> Iterator[Process]:
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20) as process:
        process.wait_until_ready()
        yield process


@pytest.fixture(scope="module")
def inference(testbed: Testbed, trainer: Process) -> Iterator[Process]:
    with testbed.service("inference", "inference") as process:
        process.wait_until_ready()
        yield process


def last_decision(testbed: Testbed) -> Any:
    return testbed.sql(sa.select(promotions).order_by(promotions.c.seq))[-1]


@pytest.mark.failure("F364")
def test_a_promotion_and_a_rollback_are_followed_by_inference(testbed: Testbed, inference: Process) -> None:
    """Each is a decision with its person and its reason, which GET /models/history shows."""
    assert (
        obey(testbed, Promote, version=2, expect=1, reason="a test") == "version 2 is the champion instead of version 1"
    )
    wait_until(lambda: served_model(inference.url)["version"] == 2, 10, "version 2 is served")
    assert obey(testbed, Rollback) == "version 1 is the champion instead of version 2"
    wait_until(lambda: served_model(inference.url)["version"] == 1, 10, "version 1 is served")
    newest, before = get(f"{inference.url}/models/history")[1]["promotions"][:2]
    row = last_decision(testbed)
    assert (newest["actor"], newest["reason"], newest["promotion_seq"]) == (row.actor, "instead of version 2", row.seq)
    assert before["reason"] == "instead of version 1: a test"
    assert (row.decision, row.version, row.previous) == ("rolled back", 1, 2)
    assert obey(testbed, Rollback) == "refused: no version was the champion before version 1"


@pytest.mark.failure("F364", "F399")
def test_a_version_is_checked_before_it_is_promoted(testbed: Testbed, trainer: Process) -> None:
    """What is wrong is refused, what is harmless is accepted, and nothing changes. DRY=1 lists the checks."""
    before = last_decision(testbed)
    assert obey(testbed, Promote, version=2, expect=3) == "refused: version 1 is the champion, not version 3"
    assert obey(testbed, Promote, version=9) == "refused: there is no version 9"
    assert obey(testbed, Promote, version=1) == "version 1 is already the champion"
    assert "version 3 is not promoted: model: FAILED: it does not load" in obey(testbed, Promote, version=3)
    assert "example: FAILED: the smoke check's price is out of bounds" in obey(testbed, Promote, version=4)
    first, *checks = obey(testbed, Promote, version=2, dry=True).splitlines()
    assert first == "version 2 would be promoted:"
    assert [line.split(": ")[:2] for line in checks] == [[f"  {name}", "passed"] for name in NAMES]
    assert last_decision(testbed) == before


@pytest.mark.failure("F399")
def test_a_version_whose_files_were_deleted_is_refused(testbed: Testbed, trainer: Process, models: Models) -> None:
    """By retention, which leaves a tag, and by hand."""
    version = models.register(1.2)
    artifacts = MlflowArtifacts(testbed.mlflow_uri, testbed.dataset.name)
    artifacts.delete(version.number)
    refused = f"refused: version {version.number} is not promoted: file: FAILED: "
    reply = obey(testbed, Promote, version=version.number)
    assert reply.startswith(f"{refused}the version has no native model: the artifacts of version {version.number}")
    MlflowClient(testbed.mlflow_uri).delete_model_version_tag(testbed.dataset.name, str(version.number), ARTIFACTS)
    assert obey(testbed, Promote, version=version.number).startswith(refused)


@pytest.mark.failure("F404")
def test_each_command_has_one_reply(testbed: Testbed, trainer: Process) -> None:
    """Also those that were refused."""
    payloads = [event.payload for event in testbed.events("commands")]
    replied = [payload.command for payload in payloads if isinstance(payload, CommandAccepted | CommandRefused)]
    assert len(set(replied)) == len(replied) == len(payloads) / 2
