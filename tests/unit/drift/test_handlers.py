"""What drift does with a closed batch, on in-memory repositories."""

import pytest

from support.batches import TIME, publish_batch
from support.history import Where, histories, next_batch, publish_old_batches
from support.listings import api_rows
from support.twins.drift import MemoryDriftUnitOfWork, MemoryReports
from support.twins.shared import CountingLog, MemoryTransactions
from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, Message, Record, decode
from veleta.processing.manifests import Manifests
from veleta.topics import topic
from veleta_drift.handlers import DriftHandler

FIRST = "first batch of the epoch"
DATASET = load_dataset("real_estate")


class Drift:
    """A DriftHandler with an in-memory event log and in-memory tables."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.transactions = MemoryTransactions(MemoryDriftUnitOfWork())
        manifests = Manifests(DATASET.name, self.log, self.transactions)
        self.handler = DriftHandler(DATASET, self.log, manifests, lambda: TIME)

    @property
    def stored(self) -> MemoryReports:
        """The committed reports."""
        return self.transactions.committed.reports

    @property
    def outbox(self) -> list[Message]:
        """The messages that wait to be published."""
        return [message for _, message in self.transactions.committed.outbox.oldest()]

    @property
    def events(self) -> list[Event]:
        """The events in the outbox."""
        return [decode(Record(m.topic, 0, 0, m.key, m.headers, m.value)) for m in self.outbox]

    async def assess(self, manifest: BatchClosed) -> None:
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        try:
            prepared = await self.handler.prepare(event)
        except Reject as error:
            rejection = error
            await self.transactions.run(lambda uow: self.handler.on_dead_letter(event, rejection, uow))
        else:
            await self.transactions.run(lambda uow: self.handler.apply(event, prepared, uow))


@pytest.fixture
def drift() -> Drift:
    return Drift()


async def test_the_first_batch_requests_a_training_and_has_no_comparison(drift: Drift) -> None:
    """Its verdict is "not enough data", not "no drift"; the report has no statistics, the request names its cause."""
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    report, request = drift.events
    assert isinstance(report.payload, DriftAssessed)
    assert (report.payload.verdict, report.payload.reason, report.payload.previous) == ("not enough data", FIRST, None)
    assert isinstance(request.payload, RetrainRequested)
    assert request.payload.first
    assert request.cause == report.id


async def test_a_batch_like_the_previous_one_requests_no_training(drift: Drift) -> None:
    """All 24 statistics are stored nevertheless."""
    rows = api_rows(0, 50, 1)
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, rows))
    await drift.assess(publish_batch(drift.log, DATASET, 1, 1, rows))
    last = drift.events[-1]
    assert isinstance(last.payload, DriftAssessed)
    assert (last.payload.verdict, last.payload.previous, len(last.payload.figures)) == ("no drift", 0, 24)


@pytest.mark.failure("F93")
async def test_a_verdict_never_changes(drift: Drift) -> None:
    """The same manifest again publishes nothing."""
    manifest = publish_batch(drift.log, DATASET, 1, 0, api_rows(0, 50, 1))
    await drift.assess(manifest)
    before = drift.events
    await drift.assess(manifest)
    assert drift.events == before
    assert drift.stored.assessed_at == {(1, 0): TIME}


@pytest.mark.failure("F106")
async def test_a_batch_that_cannot_be_read_gets_a_verdict_and_is_not_compared_with(drift: Drift) -> None:
    """Its verdict is "not enough data"; the next batch is compared with the last complete one."""
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await drift.assess(publish_batch(drift.log, DATASET, 1, 1, api_rows(0, 50, 2), digest="wrong"))
    assert drift.stored.reports[1, 1].verdict == "not enough data"
    assert "another digest" in drift.stored.reports[1, 1].reason
    await drift.assess(publish_batch(drift.log, DATASET, 1, 2, api_rows(0, 50, 1)))
    assert (drift.stored.reports[1, 2].previous, drift.stored.reports[1, 2].verdict) == (0, "no drift")


async def test_batches_are_compared_within_an_epoch_only(drift: Drift) -> None:
    """The first batch of epoch 2 has no previous batch."""
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await drift.assess(publish_batch(drift.log, DATASET, 2, 0, api_rows(5, 50, 1)))
    assert drift.stored.reports[2, 0].reason == FIRST


async def test_a_request_names_the_two_compared_batches(drift: Drift) -> None:
    """So a promotion can name them among its causes."""
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await drift.assess(publish_batch(drift.log, DATASET, 1, 1, api_rows(5, 50, 1)))
    request = drift.events[-1].payload
    assert isinstance(request, RetrainRequested)
    assert not request.first
    assert request.batches == ["real_estate/1/0", "real_estate/1/1"]


async def test_published_reports_are_restored_into_wiped_tables(drift: Drift) -> None:
    """Each once, with the time of its event, though some were published twice; reports in the tables stay."""
    for number in range(3):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, api_rows(0, 50, number)))
    reports = dict(drift.stored.reports)
    for _ in range(2):
        drift.log.publish([message for message in drift.outbox if message.topic == "real_estate.drift"])
    published = [decode(record) for record in drift.log.read("real_estate.drift", 0, 0, 9)]
    assert len(published) == 6
    drift.transactions = MemoryTransactions(MemoryDriftUnitOfWork())
    await drift.transactions.run(lambda uow: drift.handler.restore(published[1:2], uow))
    await drift.transactions.run(lambda uow: drift.handler.restore(published, uow))
    assert drift.stored.reports == reports
    assert drift.stored.assessed_at == dict.fromkeys(reports, TIME)


@histories
@pytest.mark.failure("F244")
async def test_a_batch_costs_the_same_after_any_history(drift: Drift, old: int, where: Where) -> None:
    """The table of manifests is filled once. Then only new records are read, and the two compared batches."""
    publish_old_batches(drift.log, DATASET, old, where)
    epoch, number = next_batch(old, where)
    for _ in range(3):
        await drift.assess(publish_batch(drift.log, DATASET, epoch, number, api_rows(0, 50, 1)))
        number += 1
    drift.log.read_records.clear()
    await drift.assess(publish_batch(drift.log, DATASET, epoch, number, api_rows(0, 50, 1)))
    assert drift.stored.reports[epoch, number].previous == number - 1
    assert drift.log.read_records == {"real_estate.batches": 2, "real_estate.rows": 2}


@pytest.mark.failure("F250")
async def test_a_batch_whose_rows_retention_deleted_has_no_verdict_of_drift(drift: Drift) -> None:
    """After a wipe of the database the topics repeat it. It is no dead letter and requests no training."""
    deleted, kept = (publish_batch(drift.log, DATASET, 1, number, api_rows(0, 50, 1)) for number in (0, 1))
    drift.log.delete_before(topic(DATASET.name, "rows"), 0, kept.ranges[0].first)
    event = Event("closed", "poller", TIME, deleted)
    prepared = await drift.handler.prepare(event)
    await drift.transactions.run(lambda uow: drift.handler.apply(event, prepared, uow))
    (report,) = drift.events
    assert isinstance(report.payload, DriftAssessed)
    assert report.payload.verdict == "not enough data"
    assert "deleted by retention" in report.payload.reason
