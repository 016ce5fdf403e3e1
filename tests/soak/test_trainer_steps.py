"""kill -9 of a real trainer at every step of its workflow, one after the other."""

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from support.batches import publish_batch
from support.faulty import kills
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from support.trainings import ended
from veleta.adapters.mlflow import MlflowRegistry
from veleta.tables import promotions, trainings

FAULT_POINTS = (
    "processor.prepared", "processor.applied", "processor.committed", "consumer.processed",
    "trainer.planned", "trainer.trained", "trainer.logged", "trainer.fitted", "trainer.created", "trainer.registered",
    "trainer.decided", "trainer.tagged", "trainer.previous", "trainer.promoted", "trainer.aliased", "trainer.finished",
)  # fmt: skip


@pytest.fixture
def requested(testbed: Testbed) -> Testbed:
    """Verdicts on two epochs, and the training requests that follow."""
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        for epoch, count in ((1, 4), (2, 3)):
            for number in range(count):
                publish_batch(
                    testbed.log, testbed.dataset, epoch, number, list(api_rows(number % 6, 250, epoch + number))
                )
        wait_until(lambda: len({e.id for e in testbed.events("drift")}) == 7, 60, "every verdict")
    return testbed


@pytest.mark.failure("F14")
def test_a_kill_at_each_fault_point_of_the_trainer_is_harmless(requested: Testbed) -> None:
    """One run, one version and one decision per training; both aliases; one id per event."""
    testbed = requested
    settings = {"work": testbed.folder / "work", "trees": 5, "lease_seconds": 1}
    with testbed.service("trainer", "trainer", faults=kills(FAULT_POINTS), **settings) as trainer:
        trainer.run_until(lambda: not trainer.faults(), 240, "every kill")
        publish_batch(testbed.log, testbed.dataset, 13, 0, list(api_rows(5, 300, 99)))
        publish_batch(testbed.log, testbed.dataset, 13, 1, list(api_rows(1, 300, 98)))
        with testbed.service("drift", "drift") as drift:
            drift.wait_until_ready()
            trainer.run_until(lambda: ended(testbed, "13/1"), 120, "the last request ended")
    finished = [row for row in testbed.sql(sa.select(trainings)) if row.state == "finished"]
    assert {row.state for row in testbed.sql(sa.select(trainings))} <= {"finished", "merged", "skipped"}
    client = MlflowClient(testbed.mlflow_uri)
    versions = client.search_model_versions(f"name = '{testbed.dataset.name}'")
    decisions = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))
    assert sorted(int(v.version) for v in versions) == sorted(row.version for row in finished)
    assert sorted(str(v.run_id) for v in versions) == sorted(row.run_id for row in finished)
    assert [row.seq for row in decisions] == list(range(1, len(finished) + 1))
    promoted = [row.version for row in decisions if row.decision == "promoted"]
    registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
    aliases = [registry.alias(name) for name in ("champion", "previous")]
    assert [alias.number for alias in aliases if alias] == [*promoted[:-3:-1]]
    ids = [event.id for event in testbed.events("models")]
    assert len(set(ids)) == 2 * len(finished)
