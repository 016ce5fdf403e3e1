"""Generated records for the services in memory: each costs one dead letter at most."""

from collections.abc import Sequence
from typing import Any

import pytest

from support.batches import TIME, publish_batch
from support.hostile_messages import generated
from support.listings import api_rows
from support.trainer import DATASET, TrainerHarness, request
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.loader import MemoryLoaderUnitOfWork
from support.twins.shared import MemoryLog, MemoryTransactions
from support.twins.trainer import MemoryTrainerUnitOfWork
from veleta.batches import BatchReader
from veleta.events.envelope import Event, Message, encode
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import Handler, RecordProcessor
from veleta.service.health import ServiceHealth
from veleta.topics import TopicName, topic
from veleta_drift.handlers import DriftHandler
from veleta_loader.adapters.newest_epoch import NewestEpoch
from veleta_loader.handlers import BatchLoader
from veleta_poller.domain.sequence import TopicState
from veleta_poller.topics import Topics
from veleta_trainer.domain import events
from veleta_trainer.handlers import RequestHandler

RECORDS = 100
NAME = DATASET.name


def known(log: MemoryLog, name: TopicName) -> list[Message]:
    return [Message(r.topic, r.key, r.headers, r.value) for r in log.topics.get(topic(NAME, name), [])]


class Attacked:
    """A service that has processed a batch, and then gets hostile records in the topics that it reads."""

    def __init__(self, service: str, uow: Any) -> None:
        self.log = MemoryLog()
        self.transactions: MemoryTransactions[Any] = MemoryTransactions(uow)
        self.health = ServiceHealth(service)
        publish_batch(self.log, DATASET, 1, 0, api_rows(0, 30, 1))
        trained = request(0)
        retrain = Event(trained.request_id, "drift", TIME, events.requested(trained, NAME), cause=trained.cause)
        self.log.publish([encode(topic(NAME, "retrain"), retrain)])

    async def process(self, handler: Handler[Any], names: Sequence[TopicName]) -> None:
        """Process all records of the topics. Raises Stop, as a service would stop."""
        publisher = OutboxPublisher(self.log, self.transactions)
        processor = RecordProcessor(handler, self.transactions, publisher, self.health, lambda: TIME, NAME)
        for name in names:
            start = self.transactions.committed.checkpoints.load(topic(NAME, name), 0)
            for record in self.log.topics[topic(NAME, name)][start:]:
                await processor.process(record)
        assert self.health.stop_reason == ""

    def attack(self, *names: TopicName) -> None:
        for name in names:
            self.log.publish(generated(NAME, name, known(self.log, name), RECORDS))


@pytest.mark.failure("F357", "F358", "F360")
async def test_the_loader_keeps_all_rows() -> None:
    """Whatever `batches` and `rows` get: only rows before epoch 1 are cleared. The next real batch is loaded."""
    attacked = Attacked("loader", MemoryLoaderUnitOfWork())
    cleared: set[int] = set()

    class Cleaner:
        def has_rows_before(self, _epoch: int) -> bool:
            return True

        def clear_before(self, epoch: int, _number: int) -> None:
            cleared.add(epoch)

    reader = BatchReader(attacked.log)
    outdated = NewestEpoch(attacked.log, reader, NAME).is_outdated
    loader = BatchLoader(DATASET, reader, attacked.transactions, Cleaner(), outdated, lambda: TIME)
    await attacked.process(loader, ["batches"])
    rows = attacked.transactions.committed.rows.raw
    attacked.attack("rows", "batches")
    await attacked.process(loader, ["batches"])
    assert (attacked.transactions.committed.rows.raw, cleared) == (rows, {1})
    publish_batch(attacked.log, DATASET, 1, 1, api_rows(1, 30, 1))
    await attacked.process(loader, ["batches"])
    assert attacked.transactions.committed.batches.entries[1, 1].state == "loaded"


@pytest.mark.failure("F360")
async def test_drift_keeps_its_verdicts() -> None:
    """And gives one on the next batch."""
    attacked = Attacked("drift", MemoryDriftUnitOfWork())
    handler = DriftHandler(DATASET, attacked.log, attacked.transactions, MemoryModels(), lambda: TIME)
    await attacked.process(handler, ["batches"])
    report = attacked.transactions.committed.reports.reports[1, 0]
    attacked.attack("rows", "batches")
    publish_batch(attacked.log, DATASET, 1, 500, api_rows(1, 30, 1))
    await attacked.process(handler, ["batches"])
    assert attacked.transactions.committed.reports.reports[1, 0] == report
    assert (1, 500) in attacked.transactions.committed.reports.reports


@pytest.mark.failure("F360")
async def test_the_trainer_keeps_waiting_requests() -> None:
    """Those of others wait beside them."""
    attacked = Attacked("trainer", MemoryTrainerUnitOfWork())
    attacked.attack("retrain", "batches")
    await attacked.process(RequestHandler(lambda: TIME), ["retrain", "batches"])
    assert attacked.transactions.committed.trainings.exists(request(0).request_id)


@pytest.mark.failure("F359")
async def test_the_trainer_restores_its_decisions() -> None:
    """From topics with hostile records, into empty tables. The next decision gets the next number."""
    harness = TrainerHarness(50.0, 40.0)
    await harness.add_request(request(0))
    await harness.finish()
    decided = harness.promotions
    own: tuple[TopicName, ...] = ("training", "models")
    for name in own:
        harness.log.publish(generated(NAME, name, [], RECORDS))
    harness.wipe()
    await harness.new_trainer().take_over()
    assert [row for row in harness.promotions if row.cause == request(0).request_id] == decided
    last = harness.promotions[-1].seq
    await harness.add_request(request(1))
    await harness.finish()
    assert [row.seq for row in harness.promotions if row.cause == request(1).request_id] == [last + 1]


@pytest.mark.failure("F358")
def test_the_poller_keeps_its_position() -> None:
    """At most one epoch is added by each record, and no number beyond those of the API."""
    attacked = Attacked("poller", MemoryLoaderUnitOfWork())
    topics = Topics(DATASET, attacked.log, lambda: TIME)
    before = topics.read_on(TopicState())
    attacked.attack("batches")
    after = topics.read_on(before)
    assert after.position.epoch <= RECORDS
    assert after.position.number < 10_000
