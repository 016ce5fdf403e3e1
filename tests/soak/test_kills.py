"""kill -9 between fault points: while a large batch is published, and while a model is fitted."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from support.batches import batch_manifests, publish_batch
from support.listings import api_rows, repeat_csv, write_csv
from support.testbed import Testbed, wait_until
from support.trainings import ended, training_rows
from veleta.batches import BatchReader
from veleta.events.catalogue import BatchClosed, BatchMissed, TrainingFinished
from veleta.topics import topic

ROWS, LARGE = 40, 1_000
"""Rows of a small batch, and the factor for a large one."""


@pytest.mark.failure("F05")
def test_a_kill_while_publishing_leaves_every_batch_whole(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """After a kill with half a batch in the topic, the batch is published again, and each manifest matches its rows."""
    testbed = fresh_testbed
    write_csv(tmp_path / "small.csv", ROWS, seed=5)
    repeat_csv(tmp_path / "small.csv", tmp_path / "large.csv", LARGE)
    rows = testbed.log.subscribe([topic(testbed.dataset.name, "rows")])
    given: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "at_end": "stop", "inbox": tmp_path / "inbox"}
    with (
        testbed.service("source", csv=tmp_path / "large.csv", state=tmp_path / "source") as source,
        testbed.service("poller", api_url=source.url, **given) as poller,
    ):
        source.wait_until_ready()
        for _ in range(3):
            wait_until(lambda: rows.poll(0.05))
            poller.kill()
            poller.start()
            while rows.poll(0.5):
                pass
        wait_until(lambda: len(_closed(testbed)) + len(_missed(testbed)) == 6, what="every batch came, or is missed")
    rows.close()
    found = _closed(testbed)
    assert sorted([m.number for m in found] + _missed(testbed)) == list(range(6))
    read = BatchReader(testbed.log)
    assert [sum(len(chunk) for chunk in read.chunks(m)) for m in found] == [LARGE * ROWS] * len(found)
    assert len(testbed.events("rows")) > sum(m.chunks for m in found), "no kill came in the middle of a batch"


@pytest.mark.failure("F14")
def test_a_kill_in_the_middle_of_training_ends_each_request_once(fresh_testbed: Testbed) -> None:
    """After kill -9 of trainer and child, the training is repeated: one version per training, no open run."""
    testbed = fresh_testbed
    request = f"{testbed.dataset.name}/1/0/retrain"
    with (
        testbed.service("drift", "drift") as drift,
        testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20) as trainer,
    ):
        drift.wait_until_ready()
        trainer.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(4, 300, 1)))
        wait_until(lambda: getattr(training_rows(testbed).get(request), "state", "") == "planned", 120, "the training")
        trainer.kill()
        trainer.start()
        wait_until(lambda: ended(testbed, "1/0"), 120, "the training ends")
    client = MlflowClient(testbed.mlflow_uri)
    versions = client.search_model_versions(f"name = '{testbed.dataset.name}'")
    finished = [e.payload.version for e in testbed.events("training") if isinstance(e.payload, TrainingFinished)]
    assert [int(v.version) for v in versions] == finished == [training_rows(testbed)[request].version] == [1]
    experiment = client.get_experiment_by_name(testbed.dataset.name)
    assert experiment is not None
    assert "RUNNING" not in {run.info.status for run in client.search_runs([experiment.experiment_id])}


def _closed(testbed: Testbed) -> list[BatchClosed]:
    """The valid manifest of each batch, in the order of closing."""
    payloads = [event.payload for event in batch_manifests(testbed.events("batches")).values()]
    return [payload for payload in payloads if isinstance(payload, BatchClosed)]


def _missed(testbed: Testbed) -> list[int]:
    return [e.payload.number for e in testbed.events("batches") if isinstance(e.payload, BatchMissed)]
