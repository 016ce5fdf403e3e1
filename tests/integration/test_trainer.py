"""The trainer as a process with its child process, on real Kafka, MariaDB and MLflow."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import sqlalchemy as sa
from catboost import CatBoostRegressor
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.http import get
from support.listings import api_rows
from support.models import Models, served_model, train
from support.testbed import Process, Testbed, http_status, wait_until
from support.trainer import recipe
from support.trainings import ended, request_training, training_rows
from veleta.adapters.mlflow import MlflowRegistry
from veleta.dataset import parse_dataset
from veleta.errors import Retry
from veleta.events.catalogue import ModelPromoted, ModelRegistered, TrainingFinished, TrainingProgress
from veleta.feature_definition import FeatureDefinition
from veleta.predictor import Predictor
from veleta.pyfunc import example_frame
from veleta.tables import evaluations, leases, promotions
from veleta.training_values import TrainingValues
from veleta_trainer.adapters.child_protocol import EVALUATION, EXPLAIN, FIGURES, MODEL, SAMPLE
from veleta_trainer.adapters.run_view import VIEW_TAG
from veleta_trainer.adapters.runs import DONE, EXPLANATION, RECIPE_DIGEST, MlflowRuns
from veleta_trainer.domain.evaluation import WHOLE
from veleta_trainer.ports import FittedModel

SLOW = 120
PAUSE = ("trainer.logged 5",)
"""The trainer pauses for 5 s after it logged a run in MLflow, and before it stores the run in MySQL."""

FENCED = "another trainer held it since this step began"
"""What a trainer logs whose write was stopped although it has the lease again."""


def test_a_batch_becomes_a_champion(testbed: Testbed) -> None:
    """From manifest to alias: run, metrics, both models, signature, events, and the row of the request."""
    publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(4, 300, 1)))
    with _drift_and_trainer(testbed):
        wait_until(lambda: ended(testbed, "1/0"), SLOW, "the first training ends")
        champion = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name).alias("champion")
        publish_batch(testbed.log, testbed.dataset, 1, 1, list(api_rows(5, 300, 2)))
        wait_until(lambda: ended(testbed, "1/1"), SLOW, "the second training ends")
    assert champion is not None
    row = training_rows(testbed)[f"{testbed.dataset.name}/1/0/retrain"]
    assert (row.state, row.version, row.run_id) == ("finished", 1, champion.run_id)
    assert champion.tags["seq"] == "1"
    run = MlflowClient(testbed.mlflow_uri).get_run(champion.run_id)
    assert run.info.status == "FINISHED"
    assert {"rmse", "mae", "median_ape", "r2", "accuracy"} <= set(run.data.metrics)
    assert run.data.metrics["accuracy"] == run.data.metrics["r2"]
    assert run.data.params["iterations"] == "20"
    registered, promoted = (e.payload for e in testbed.events("models")[:2])
    assert isinstance(registered, ModelRegistered)
    assert registered.recipe["batches"][0]["rows"] == 300
    assert isinstance(promoted, ModelPromoted)
    assert promoted.causes.report == f"{testbed.dataset.name}/1/0/assessed"


def test_the_measures_of_a_version_are_in_its_run_its_event_and_its_table(testbed: Testbed) -> None:
    """For the version, the champion if there was one, and the linear baseline. The table has what the event has."""
    registered = [e.payload for e in testbed.events("models") if isinstance(e.payload, ModelRegistered)]
    table = {tuple(row) for row in testbed.sql(sa.select(evaluations))}
    assert table == {
        (payload.version, each.model, each.slice, metric, value, each.rows)
        for payload in registered
        for each in payload.measures
        for metric, value in each.metrics.items()
    }
    models = {1: {"challenger", "linear baseline"}, 2: {"challenger", "champion", "linear baseline"}}
    for payload in registered:
        whole = {each.model: each for each in payload.measures if each.slice == WHOLE}
        assert whole.keys() == models[payload.version]
        assert whole["challenger"].metrics["mae"] == payload.metrics["mae"]
        assert whole["challenger"].rows == payload.metrics["holdout_rows"]
        assert {each.slice for each in payload.measures} > {WHOLE, "status = sold"}
        address = f"runs:/{payload.run_id}/{EVALUATION}/{FIGURES}"
        mlflow.set_tracking_uri(testbed.mlflow_uri)
        lines = mlflow.artifacts.load_text(address).splitlines()
        assert lines[0] == "model,slice,metric,value,rows"


def test_a_version_leaves_what_later_batches_are_compared_with(testbed: Testbed) -> None:
    """As an artifact of its run. Its short form is in the events of the version and in the row of its training."""
    registry, rows = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name), training_rows(testbed)
    payloads = [e.payload for e in testbed.events("models")]
    registered = [payload for payload in payloads if isinstance(payload, ModelRegistered)]
    promoted = {payload.version: payload for payload in payloads if isinstance(payload, ModelPromoted)}
    assert promoted[1].profile is not None
    for payload in registered:
        version = registry.version(payload.version)
        assert version is not None
        reference = registry.reference(version)
        assert reference is not None
        assert (reference.train_rows, reference.holdout_rows) == (
            payload.metrics["train_rows"],
            payload.metrics["holdout_rows"],
        )
        assert payload.profile == reference.profile()
        assert rows[payload.recipe["request_id"]].profile == reference.profile().model_dump(mode="json")
        if payload.version in promoted:
            assert promoted[payload.version].profile == payload.profile


def test_mlflow_shows_why_a_version_exists_and_what_it_learnt_from(testbed: Testbed) -> None:
    """In the descriptions of version and run, and in the inputs of the run. The experiment has a view of its runs."""
    client = MlflowClient(testbed.mlflow_uri)
    decided = {row.version: row for row in testbed.sql(sa.select(promotions))}
    metrics: set[str] = set()
    for version in client.search_model_versions(f"name = '{testbed.dataset.name}'"):
        run, decision = client.get_run(str(version.run_id)), decided[int(version.version)]
        assert run.data.tags["mlflow.note.content"] == version.description
        assert f"Decision {decision.seq}: {decision.decision}: {decision.reason}." in str(version.description)
        inputs = run.inputs.dataset_inputs if run.inputs else []
        rows = {each.tags[0].value: json.loads(each.dataset.profile or "")["num_rows"] for each in inputs}
        assert rows == {
            "training": run.data.metrics["train_rows"],
            "holdout": run.data.metrics["holdout_rows"],
        }
        metrics.update(run.data.metrics)
    experiment = client.get_experiment_by_name(testbed.dataset.name)
    assert experiment is not None
    columns = json.loads(json.loads(experiment.tags[VIEW_TAG])["state"])["selectedColumns"]
    shown = {name.split("`")[1] for name in columns if name.startswith("metrics.")}
    assert {"mae", "champion_mae", "linear_mae"} <= shown <= metrics


@pytest.mark.failure("F436")
def test_a_restarted_trainer_explains_what_is_left(testbed: Testbed) -> None:
    """The one before was stopped right after a decision: its run has only the sample."""
    client = MlflowClient(testbed.mlflow_uri)
    versions = client.search_model_versions(f"name = '{testbed.dataset.name}'")
    runs = [client.get_run(str(version.run_id)) for version in versions]
    assert {SAMPLE} in [_artifacts(testbed, run) for run in runs]
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20):
        wait_until(lambda: {_explanation(client, run) for run in runs} == {DONE}, SLOW, "both runs are explained")
    pictures = {"importance.csv", "summary.png", "bar.png", "waterfall.png"}
    assert [_artifacts(testbed, run) for run in runs] == [{SAMPLE, *pictures}] * 2


def test_each_training_is_one_version(testbed: Testbed) -> None:
    """It has one run, one decision, and a point of its learning curve for each tree."""
    versions = MlflowClient(testbed.mlflow_uri).search_model_versions(f"name = '{testbed.dataset.name}'")
    finished = [e.payload for e in testbed.events("training") if isinstance(e.payload, TrainingFinished)]
    assert sorted(int(v.version) for v in versions) == sorted(p.version for p in finished) == [1, 2]
    assert [row.seq for row in testbed.sql(sa.select(promotions))] == [1, 2]
    progress = [e.payload for e in testbed.events("training") if isinstance(e.payload, TrainingProgress)]
    errors = [p.error for p in progress if p.phase == "fitting" and p.error is not None]
    assert len(errors) == 40, "the curve of each training has a point for each of its 20 trees"
    assert errors[-1] < errors[0]


def test_the_registered_model_takes_raw_rows(testbed: Testbed, tmp_path: Path) -> None:
    """Its signature is the raw columns without the target; its price is that of the native model of the same run."""
    mlflow.set_tracking_uri(testbed.mlflow_uri)
    model = mlflow.pyfunc.load_model(f"models:/{testbed.dataset.name}@champion")
    inputs = model.metadata.get_input_schema()
    assert inputs is not None
    assert inputs.input_names() == [c.name for c in testbed.dataset.inputs]
    assert inputs.required_input_names() == [c.name for c in testbed.dataset.inputs if c.required]
    price = model.predict(example := example_frame(testbed.dataset))
    assert price.shape == (1,)
    not_used = example[inputs.required_input_names()]
    assert model.predict(not_used) == model.predict(not_used.assign(street=None)) == price
    registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
    champion = registry.alias("champion")
    assert champion is not None
    native = CatBoostRegressor().load_model(str(registry.download_native(champion, tmp_path)))
    values, _ = testbed.dataset.convert(testbed.dataset.example)
    learnt = TrainingValues.of_model(native.get_metadata())
    assert learnt is not None
    definition = FeatureDefinition.of_model(native.get_metadata())
    assert definition == FeatureDefinition.of_dataset(testbed.dataset)
    assert champion.tags["feature_digest"] == definition.digest
    assert registry.dataset_file(champion) == testbed.dataset.text
    columns = {column.name for column in testbed.dataset.inputs if column.is_feature}
    assert learnt.ranges.keys() | learnt.texts.keys() == columns
    assert columns < set(native.feature_names_)
    assert Predictor(testbed.dataset, native).prices([values]) == [pytest.approx(price[0], rel=1e-12)]


@pytest.mark.failure("F16")
def test_an_alias_moved_by_hand_is_recorded_and_served(testbed: Testbed) -> None:
    """It becomes a decision `outside` with a number and an event. Inference serves the version."""
    registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
    before = registry.alias("champion")
    assert before is not None
    other = 3 - before.number
    registry.set_alias("champion", other)
    with (
        testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20),
        testbed.service("inference", "inference") as inference,
    ):
        inference.wait_until_ready()
        wait_until(lambda: _version(inference) == (other, 3), 60, "the version that was chosen by hand is served")
    last = _last_promotion(testbed)
    assert (last.seq, last.version, last.previous, last.decision) == (3, other, before.number, "outside")
    assert f"{testbed.dataset.name}/outside/3" in {event.id for event in testbed.events("models")}
    previous = registry.alias("previous")
    assert previous is not None
    assert previous.number == before.number


@pytest.mark.failure("F119", "F120")
def test_a_second_trainer_stands_by(testbed: Testbed) -> None:
    """One trainer holds the lease. While it is frozen the other one acquires it, and the first one then stands by."""
    settings: dict[str, Any] = {"trees": 20, "lease_seconds": 4}
    with (
        testbed.service("trainer", "trainer", work=testbed.folder / "one", **settings) as one,
        testbed.service("trainer", "trainer", work=testbed.folder / "two", **settings) as two,
    ):
        wait_until(lambda: http_status(f"{one.url}/livez") == http_status(f"{two.url}/livez") == 200, 60, "both are up")
        wait_until(lambda: {_holds_lease(one), _holds_lease(two)} == {True, False}, 60, "one holds the lease")
        holder, other = (one, two) if _holds_lease(one) else (two, one)
        _freeze_until_overtaken(holder, other)
        wait_until(lambda: not _holds_lease(holder), what="the first one stands by")
        fence = testbed.sql(sa.select(leases))[0].fence
        assert fence >= 2


@pytest.mark.failure("F119", "F297")
def test_a_zombie_trainer_changes_nothing(testbed: Testbed) -> None:
    """It freezes before it stores a logged run. The other trainer finishes the training, and ends.

    Then the zombie gets the lease again and tries to store the run: its log shows that the fence stopped it.
    """
    settings: dict[str, Any] = {"trees": 20, "lease_seconds": 2}
    name = f"{testbed.dataset.name}/1/2/retrain"
    publish_batch(testbed.log, testbed.dataset, 1, 2, list(api_rows(3, 300, 5)))
    with testbed.service("trainer", "trainer", work=testbed.folder / "one", faults=PAUSE, **settings) as zombie:
        zombie.wait_until_ready()
        with testbed.service("trainer", "trainer", work=testbed.folder / "two", **settings) as other:
            wait_until(lambda: http_status(f"{other.url}/livez") == 200, 60, "the other one is up")
            request_training(testbed, 1, 2)
            wait_until(lambda: not zombie.faults(), SLOW, "the zombie pauses")
            time.sleep(1)  # its threads end their transactions
            with zombie.frozen():
                wait_until(lambda: ended(testbed, "1/2"), SLOW, "the other one finishes the training")
                assert other.stop() == 0
                before = _state(testbed, name)
            assert FENCED not in zombie.log.read_text()
            wait_until(lambda: FENCED in zombie.log.read_text(), SLOW, "the fence stops the zombie's write")
            wait_until(lambda: _holds_lease(zombie), what="the zombie goes on with its new lease")
            assert _state(testbed, name) == before
    row = training_rows(testbed)[name]
    assert row.state == "finished"
    assert len([event for event in testbed.events("training") if event.id == f"{name}/finished"]) == 1
    client = MlflowClient(testbed.mlflow_uri)
    experiment = client.get_experiment_by_name(testbed.dataset.name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.request_id = '{name}'")
    assert [run.info.run_id for run in runs] == [row.run_id]


@pytest.mark.failure("F44", "F269")
def test_a_champion_that_learnt_from_other_features_is_replaced(testbed: Testbed, tmp_path: Path) -> None:
    """Inference does not serve it, and the trainer cannot compare it: the new version is promoted and served."""
    path = tmp_path / "champion.cbm"
    train(parse_dataset(CHANGES["prefix"].text(testbed.dataset.text)), path)
    version = Models(testbed).register(damage=lambda model: model.write_bytes(path.read_bytes()))
    MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name).set_alias("champion", version.number)
    publish_batch(testbed.log, testbed.dataset, 1, 3, list(api_rows(2, 300, 6)))
    reason = "the model learnt from other features: zip_code had prefix = 2, now 3"
    with (
        testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20),
        testbed.service("inference", "inference", reconcile_seconds=1) as inference,
    ):
        refusal = f"version {version.number} is refused: {reason}"
        wait_until(lambda: http_status(f"{inference.url}/livez") == 200, 60, "inference is up")
        wait_until(lambda: refusal in str(get(f"{inference.url}/readyz")[1]), 60, "inference shows the refusal")
        request_training(testbed, 1, 3)
        wait_until(lambda: ended(testbed, "1/3"), SLOW, "the training ends")
        last = _last_promotion(testbed)
        assert (last.decision, last.previous) == ("promoted", version.number)
        assert last.reason == f"version {version.number} cannot be evaluated: {reason}"
        wait_until(lambda: _version(inference) == (last.version, last.seq), 60, "the new version is served")


@pytest.mark.failure("F45")
def test_too_few_rows_fail_with_their_reason(testbed: Testbed) -> None:
    """A request that can never be trained fails, and becomes a dead letter. The epoch before has no batches."""
    publish_batch(testbed.log, testbed.dataset, 20, 0, list(api_rows(0, 5, 3)))
    publish_batch(testbed.log, testbed.dataset, 20, 1, list(api_rows(5, 5, 4)))
    with _drift_and_trainer(testbed):
        wait_until(lambda: ended(testbed, "20/0") and ended(testbed, "20/1"), SLOW, "both requests end")
    rows = {name.split("/", 1)[1]: row for name, row in training_rows(testbed).items()}
    assert all(row.ended_at for row in rows.values())
    assert rows["20/0/retrain"].state == "skipped"
    assert rows["20/1/retrain"].state == "failed"
    assert "are too few" in rows["20/1/retrain"].failure
    assert len(testbed.events("deadletter")) == 1


@pytest.fixture
def experiment(testbed: Testbed, tmp_path: Path) -> str:
    """The name of an experiment that does not exist."""
    return f"{testbed.dataset.name}_{tmp_path.name}"


@pytest.mark.failure("F114", "F296")
def test_own_runs_left_open_are_ended_as_killed(testbed: Testbed, experiment: str) -> None:
    """Those of the recipe, after a kill. Runs of people and of other deployments stay open."""
    runs, client = MlflowRuns(testbed.mlflow_uri, experiment), MlflowClient(testbed.mlflow_uri)
    runs.end_open(recipe())
    number = client.create_experiment(experiment)
    own, other = ({RECIPE_DIGEST: recipe(champion=version).digest} for version in (None, 1))
    finished, left = (client.create_run(number, tags=own).info.run_id for _ in range(2))
    not_ours = [client.create_run(number, tags=tags).info.run_id for tags in (other, {})]
    client.set_terminated(finished)
    runs.end_open(recipe())
    assert [client.get_run(run_id).info.status for run_id in (finished, left, *not_ours)] == [
        "FINISHED", "KILLED", "RUNNING", "RUNNING",
    ]  # fmt: skip


@pytest.mark.failure("F293", "F296")
def test_a_run_that_could_not_be_stored_is_continued(
    testbed: Testbed, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's disk was full: there is one run, also after many attempts. Only its own recipe finds it.

    MLflow adds a folder to sys.path for each model that it logs. The trainer's own process has none of them.
    """
    before = list(sys.path)
    runs, client = MlflowRuns(testbed.mlflow_uri, experiment), MlflowClient(testbed.mlflow_uri)
    train(testbed.dataset, tmp_path / MODEL)
    (tmp_path / EVALUATION).mkdir()
    fitted = FittedModel(tmp_path, {"mae": 1.0, "train_rows": 1.0, "holdout_rows": 1.0}, recipe())
    with monkeypatch.context() as patch:
        patch.setattr(mlflow, "log_artifacts", _full_disk)
        for _ in range(3):
            with pytest.raises(Retry, match="disk is full"):
                runs.log(recipe(), fitted)
    logged = runs.log(recipe(), fitted)
    stored = client.get_experiment_by_name(experiment)
    assert stored is not None
    assert [(run.info.run_id, run.info.status) for run in client.search_runs([stored.experiment_id])] == [
        (logged.run_id, "FINISHED")
    ]
    assert MlflowRuns(testbed.mlflow_uri, experiment).find(recipe()) == logged
    assert runs.find(recipe(champion=1)) is None
    assert sys.path == before


def _full_disk(*_arguments: object) -> None:
    raise MlflowException("database or disk is full", TEMPORARILY_UNAVAILABLE)


def _version(inference: Process) -> tuple[int, int]:
    """The version that is served, and its sequence number."""
    model = served_model(inference.url)
    return model["version"], model["promotion_seq"]


def _freeze_until_overtaken(holder: Process, other: Process) -> None:
    """Freeze a trainer until the other one holds the lease. Frozen in a transaction it would block the other one."""
    for _ in range(5):
        with holder.frozen(), contextlib.suppress(AssertionError):
            wait_until(lambda: _holds_lease(other), 15)
            return
    raise AssertionError("the other trainer did not take over")


def _last_promotion(testbed: Testbed) -> Any:
    return testbed.sql(sa.select(promotions).order_by(promotions.c.seq))[-1]


def _state(testbed: Testbed, request_id: str) -> tuple[object, ...]:
    """What a training may change: its row, the decisions, the published events and the aliases."""
    registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
    return (
        training_rows(testbed)[request_id],
        testbed.sql(sa.select(promotions).order_by(promotions.c.seq)),
        [event.id for name in ("training", "models") for event in testbed.events(name)],
        [registry.alias(name) for name in ("champion", "previous", "challenger")],
    )


def _holds_lease(trainer: Process) -> bool:
    """Whether it is ready. It is not while another trainer holds the lease."""
    return http_status(f"{trainer.url}/readyz") == 200


@contextmanager
def _drift_and_trainer(testbed: Testbed) -> Iterator[Process]:
    with (
        testbed.service("drift", "drift") as drift,
        testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20) as trainer,
    ):
        drift.wait_until_ready()
        trainer.wait_until_ready()
        yield trainer


def _artifacts(testbed: Testbed, run: Run) -> set[str]:
    client = MlflowClient(testbed.mlflow_uri)
    return {Path(f.path).name for f in client.list_artifacts(run.info.run_id, EXPLAIN)}


def _explanation(client: MlflowClient, run: Run) -> str:
    return client.get_run(run.info.run_id).data.tags[EXPLANATION]
