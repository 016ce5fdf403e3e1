"""The trainer, a real process with its child, on real Kafka, MariaDB and MLflow."""

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

from support.batches import publish_batch
from support.listings import api_rows
from support.world import Process, World, eventually
from veleta.adapters.mlflow import MlflowRegistry
from veleta.events.catalogue import ModelPromoted, ModelRegistered, TrainingFinished
from veleta.predictor import Predictor
from veleta.pyfunc import example_frame
from veleta.tables import promotions, trainings
from veleta_trainer.adapters.runs import MlflowRuns

SLOW = 120


def lines(world: World) -> dict[str, Any]:
    """The log of intent by request."""
    return {row.request_id: row for row in world.sql(sa.select(trainings))}


def ended(world: World, number: int) -> bool:
    line = lines(world).get(f"{world.dataset.name}/1/{number}/retrain")
    return line is not None and line.ended_at is not None


def test_a_batch_becomes_a_champion(world: World) -> None:
    """From manifest to alias: run, metrics, pictures, table, both models, signature, events, log of intent."""
    publish_batch(world.log, world.dataset, 1, 0, list(api_rows(4, 300, 1)))
    with _drift_and_trainer(world):
        eventually(lambda: ended(world, 0), SLOW, "the first training ends")
    registry = MlflowRegistry(world.mlflow_uri, world.dataset.name)
    champion = registry.alias("champion")
    assert champion is not None
    line = lines(world)[f"{world.dataset.name}/1/0/retrain"]
    assert (line.state, line.version, line.run_id) == ("finished", 1, champion.run_id)
    assert champion.tags["seq"] == "1"
    run = MlflowClient(world.mlflow_uri).get_run(champion.run_id)
    assert run.info.status == "FINISHED"
    assert {"rmse", "mae", "median_ape", "r2", "accuracy"} <= set(run.data.metrics)
    assert run.data.metrics["accuracy"] == run.data.metrics["r2"]
    assert run.data.params["iterations"] == "20"
    assert _artifacts(world, run) == {"importance.csv", "summary.png", "bar.png", "waterfall.png"}
    registered, promoted = (e.payload for e in world.events("models"))
    assert isinstance(registered, ModelRegistered)
    assert registered.recipe["batches"][0]["rows"] == 300
    assert isinstance(promoted, ModelPromoted)
    assert promoted.causes.report == f"{world.dataset.name}/1/0/assessed"


def test_the_registered_model_takes_raw_rows(world: World, tmp_path: Path) -> None:
    """Its signature is the raw columns without the target; its price is that of the native model of the same run."""
    mlflow.set_tracking_uri(world.mlflow_uri)
    model = mlflow.pyfunc.load_model(f"models:/{world.dataset.name}@champion")
    inputs = model.metadata.get_input_schema()
    assert inputs is not None
    assert inputs.input_names() == [c.name for c in world.dataset.inputs]
    price = model.predict(example_frame(world.dataset))
    assert price.shape == (1,)
    registry = MlflowRegistry(world.mlflow_uri, world.dataset.name)
    champion = registry.alias("champion")
    assert champion is not None
    native = CatBoostRegressor().load_model(str(registry.native(champion, tmp_path)))
    values, _ = world.dataset.convert(world.dataset.example)
    assert Predictor(world.dataset, native).prices([values]) == [pytest.approx(price[0], rel=1e-12)]


def test_a_kill_in_the_middle_of_training_ends_each_request_once(world: World) -> None:
    """kill -9 of trainer and child: the training is done again, one version per training, no run stays open."""
    with _drift_and_trainer(world) as trainer:
        publish_batch(world.log, world.dataset, 1, 1, list(api_rows(5, 300, 2)))
        request = f"{world.dataset.name}/1/1/retrain"
        eventually(lambda: getattr(lines(world).get(request), "state", "") == "planned", SLOW, "the training began")
        trainer.kill()
        trainer.start()
        eventually(lambda: ended(world, 1), SLOW, "the training ends")
    versions = MlflowClient(world.mlflow_uri).search_model_versions(f"name = '{world.dataset.name}'")
    finished = [e.payload for e in world.events("training") if isinstance(e.payload, TrainingFinished)]
    assert sorted(int(v.version) for v in versions) == sorted(p.version for p in finished) == [1, 2]
    assert [row.seq for row in world.sql(sa.select(promotions))] == [1, 2]
    assert "RUNNING" not in {run.info.status for run in _runs(world)}


def test_too_few_rows_fail_with_their_reason(world: World) -> None:
    """A request that can never be trained ends as failed, and is a dead letter."""
    publish_batch(world.log, world.dataset, 2, 0, list(api_rows(0, 5, 3)))
    publish_batch(world.log, world.dataset, 2, 1, list(api_rows(5, 5, 4)))
    with _drift_and_trainer(world):
        eventually(lambda: len(lines(world)) == 4 and all(row.ended_at for row in lines(world).values()), SLOW)
    states = {name.split("/", 1)[1]: row.state for name, row in lines(world).items()}
    assert states["2/0/retrain"] == "skipped"
    assert states["2/1/retrain"] == "failed"
    assert len(world.events("deadletter")) == 1


def test_runs_left_open_are_ended_as_killed(world: World) -> None:
    """Those of a process that died; finished ones stay, and before the first training there is nothing to do."""
    experiment = f"{world.dataset.name}_open"
    runs, client = MlflowRuns(world.mlflow_uri, experiment), MlflowClient(world.mlflow_uri)
    runs.end_open()
    number = client.create_experiment(experiment)
    finished, left = (client.create_run(number).info.run_id for _ in range(2))
    client.set_terminated(finished)
    runs.end_open()
    assert {run_id: client.get_run(run_id).info.status for run_id in (finished, left)} == {
        finished: "FINISHED",
        left: "KILLED",
    }


@contextmanager
def _drift_and_trainer(world: World) -> Iterator[Process]:
    with (
        world.service("drift", "drift") as drift,
        world.service("trainer", "trainer", work=world.folder / "work", trees=20) as trainer,
    ):
        drift.ready()
        trainer.ready()
        yield trainer


def _artifacts(world: World, run: Run) -> set[str]:
    client = MlflowClient(world.mlflow_uri)
    return {Path(f.path).name for f in client.list_artifacts(run.info.run_id, "explain")}


def _runs(world: World) -> list[Run]:
    client = MlflowClient(world.mlflow_uri)
    experiment = client.get_experiment_by_name(world.dataset.name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))
