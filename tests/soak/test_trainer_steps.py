"""kill -9 of a real trainer at every step of its workflow, one after the other."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from support.batches import publish_batch
from support.faulty import kills
from support.listings import api_rows
from support.models import Models
from support.testbed import Process, Testbed, http_status, wait_until
from support.trainings import ended
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import utc_now
from veleta.events.catalogue import (
    Cancel,
    CommandAccepted,
    CommandAnswer,
    IntervalsAdjusted,
    ModelPromoted,
    Promote,
    Retrain,
    TrainerCommand,
)
from veleta.events.envelope import Event, encode
from veleta.tables import promotions, trainings
from veleta.topics import topic

FAULT_POINTS = (
    "processor.prepared", "processor.applied", "processor.committed", "consumer.processed",
    "trainer.planned", "trainer.trained", "trainer.logged", "trainer.fitted", "trainer.created", "trainer.registered",
    "trainer.decided", "trainer.tagged", "trainer.previous", "trainer.promoted", "trainer.aliased", "trainer.finished",
)  # fmt: skip

PROMOTION_FAULT_POINTS = (
    "trainer.commanded", "trainer.tagged", "trainer.previous", "trainer.promoted", "trainer.replied",
    "outbox.published",
)  # fmt: skip
"""Where a trainer may be killed while it promotes by a command."""


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
    ids = [event.id for event in testbed.events("models") if not isinstance(event.payload, IntervalsAdjusted)]
    assert len(set(ids)) == 2 * len(finished)


@pytest.mark.failure("F404")
def test_a_kill_at_each_fault_point_of_a_command_is_harmless(fresh_testbed: Testbed) -> None:
    """Each promotion is one decision, each request one version, and each command has one answer."""
    testbed, name = fresh_testbed, fresh_testbed.dataset.name
    models = Models(testbed)
    models.promote()
    models.register(1.1)
    publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(4, 3000, 1)))
    settings = {"work": testbed.folder / "work", "trees": 500, "lease_seconds": 1}
    faults = kills([*PROMOTION_FAULT_POINTS, "trainer.replied", "trainer.interrupted", "trainer.replied"])
    with testbed.service("trainer", "trainer", faults=faults, **settings) as trainer:
        for number in range(len(PROMOTION_FAULT_POINTS)):
            version = 2 - number % 2
            reply = _reply(testbed, trainer, Promote(dataset=name, actor="ana", version=version))
            assert reply == f"version {version} is the champion instead of version {3 - version}"
        assert "requested" in _reply(testbed, trainer, Retrain(dataset=name, actor="ana"))
        wait_until(lambda: "planned" in _states(testbed), 60, "the training")
        assert "while the trainer was down" in _reply(testbed, trainer, Cancel(dataset=name, actor="ana"))
        wait_until(lambda: "planned" in _states(testbed), 60, "the training is repeated")
        assert "is cancelled" in _reply(testbed, trainer, Cancel(dataset=name, actor="ana"))
        assert not trainer.faults()
        assert "requested" in _reply(testbed, trainer, Retrain(dataset=name, actor="ana"))
        wait_until(lambda: "finished" in _states(testbed), 120, "the training")
    decisions = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))
    commanded = len(PROMOTION_FAULT_POINTS)
    assert [row.version for row in decisions] == [1, *[2, 1] * (commanded // 2), 3]
    assert {row.decision for row in decisions[:-1]} == {"promoted"}
    assert _states(testbed) == ["failed", "finished"]
    promoted = [event.id for event in testbed.events("models") if isinstance(event.payload, ModelPromoted)]
    assert len({event_id for event_id in promoted if "/promote/" in event_id}) == commanded


def _reply(testbed: Testbed, trainer: Process, command: TrainerCommand) -> str:
    """Send a command to a trainer that is ready, and restart the trainer until the reply is in the topic."""
    name = topic(testbed.dataset.name, "commands")
    trainer.run_until(lambda: http_status(f"{trainer.url}/readyz") == 200, 60, "the trainer is ready")
    command_id = f"{testbed.dataset.name}/{command.TYPE}/{uuid4()}"
    testbed.log.publish([encode(name, Event(command_id, "test", utc_now(), command))])

    def replies() -> set[str]:
        payloads = [event.payload for event in testbed.events("commands")]
        own = [each for each in payloads if isinstance(each, CommandAnswer) and each.command == command_id]
        return {each.effect if isinstance(each, CommandAccepted) else str(each) for each in own}

    trainer.run_until(replies, 60, "the reply")
    (reply,) = replies()
    return reply


def _states(testbed: Testbed) -> list[str]:
    return [row.state for row in testbed.sql(sa.select(trainings).order_by(trainings.c.requested_at))]
