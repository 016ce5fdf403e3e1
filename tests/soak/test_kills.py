"""kill -9 between fault points: while a large batch is published, and while a model is fitted."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from support.batches import publish_batch
from support.listings import api_rows, repeat_csv, write_csv
from support.trainings import ended, training_rows
from support.world import World, eventually
from veleta.batches import BatchReader, batch_manifests
from veleta.events.catalogue import BatchClosed, BatchMissed, TrainingFinished
from veleta.topics import topic

ROWS, LARGE = 40, 1_000
"""Rows of a small batch, and the factor for a large one."""


@pytest.mark.failure("F05")
def test_a_kill_while_publishing_leaves_every_batch_whole(fresh: World, tmp_path: Path) -> None:
    """After a kill with half a batch in the topic, the batch is published again, and each manifest matches its rows."""
    world = fresh
    write_csv(tmp_path / "small.csv", ROWS, seed=5)
    repeat_csv(tmp_path / "small.csv", tmp_path / "large.csv", LARGE)
    rows = world.log.subscribe([topic(world.dataset.name, "rows")])
    given: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "at_end": "stop", "inbox": tmp_path / "inbox"}
    with (
        world.service("source", csv=tmp_path / "large.csv", state=tmp_path / "source") as source,
        world.service("poller", api_url=source.url, **given) as poller,
    ):
        source.ready()
        for _ in range(3):
            eventually(lambda: rows.poll(0.05))
            poller.kill()
            poller.start()
            while rows.poll(0.5):
                pass
        eventually(lambda: len(_closed(world)) + len(_missed(world)) == 6, what="every batch came, or is missed")
    rows.close()
    found = _closed(world)
    assert sorted([m.number for m in found] + _missed(world)) == list(range(6))
    read = BatchReader(world.log)
    assert [sum(len(chunk) for chunk in read.chunks(m)) for m in found] == [LARGE * ROWS] * len(found)
    assert len(world.events("rows")) > sum(m.chunks for m in found), "no kill came in the middle of a batch"


@pytest.mark.failure("F14")
def test_a_kill_in_the_middle_of_training_ends_each_request_once(fresh: World) -> None:
    """After kill -9 of trainer and child, the training is repeated: one version per training, no open run."""
    world = fresh
    request = f"{world.dataset.name}/1/0/retrain"
    with (
        world.service("drift", "drift") as drift,
        world.service("trainer", "trainer", work=world.folder / "work", trees=20) as trainer,
    ):
        drift.ready()
        trainer.ready()
        publish_batch(world.log, world.dataset, 1, 0, list(api_rows(4, 300, 1)))
        eventually(lambda: getattr(training_rows(world).get(request), "state", "") == "planned", 120, "the training")
        trainer.kill()
        trainer.start()
        eventually(lambda: ended(world, "1/0"), 120, "the training ends")
    client = MlflowClient(world.mlflow_uri)
    versions = client.search_model_versions(f"name = '{world.dataset.name}'")
    finished = [e.payload.version for e in world.events("training") if isinstance(e.payload, TrainingFinished)]
    assert [int(v.version) for v in versions] == finished == [training_rows(world)[request].version] == [1]
    experiment = client.get_experiment_by_name(world.dataset.name)
    assert experiment is not None
    assert "RUNNING" not in {run.info.status for run in client.search_runs([experiment.experiment_id])}


def _closed(world: World) -> list[BatchClosed]:
    """The valid manifest of each batch, in the order of closing."""
    payloads = [event.payload for event in batch_manifests(world.events("batches")).values()]
    return [payload for payload in payloads if isinstance(payload, BatchClosed)]


def _missed(world: World) -> list[int]:
    return [e.payload.number for e in world.events("batches") if isinstance(e.payload, BatchMissed)]
