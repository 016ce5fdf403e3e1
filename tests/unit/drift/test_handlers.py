"""What drift does with a closed batch, on in-memory repositories."""

from typing import Any

import pytest

from support.batches import TIME, publish_batch
from support.dataset_changes import CHANGES
from support.history import Where, histories, next_batch, publish_old_batches
from support.listings import api_rows
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels, MemoryReports
from support.twins.shared import CountingLog, OutboxLog, StrictTransactions
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, Message, Record, decode
from veleta.topics import topic
from veleta_drift.handlers import DriftHandler

FIRST = "first batch of the epoch"
DATASET = load_dataset("real_estate")


class Drift:
    """A DriftHandler with an in-memory event log and in-memory tables."""

    def __init__(self, log: CountingLog | None = None) -> None:
        self.transactions = StrictTransactions(MemoryDriftUnitOfWork())
        self.log = log or OutboxLog("drift", lambda: self.transactions.committed.outbox)
        self.change_dataset(DATASET)

    def change_dataset(self, dataset: Dataset) -> None:
        """Restart with a changed dataset file."""
        self.handler = DriftHandler(dataset, self.log, self.transactions, MemoryModels(), lambda: TIME)

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
    drift.transactions = StrictTransactions(MemoryDriftUnitOfWork())
    await drift.transactions.run(lambda uow: drift.handler.restore(published[1:2], uow))
    await drift.transactions.run(lambda uow: drift.handler.restore(published, uow))
    assert drift.stored.reports == reports
    assert drift.stored.assessed_at == dict.fromkeys(reports, TIME)


@pytest.mark.failure("F268")
@pytest.mark.parametrize("kind", [kind for kind, change in CHANGES.items() if not change.job_refuses])
async def test_the_next_batch_is_compared_after_each_change_of_the_dataset_file(drift: Drift, kind: str) -> None:
    """Rows that were published before the change have no value in a new column, and are compared in the others."""
    rows = api_rows(0, 50, 1)
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, rows))
    drift.change_dataset(CHANGES[kind].dataset())
    await drift.assess(publish_batch(drift.log, DATASET, 1, 1, rows))
    assert (drift.stored.reports[1, 1].verdict, drift.stored.reports[1, 1].previous) == ("no drift", 0)


@histories
@pytest.mark.failure("F244")
async def test_a_batch_costs_the_same_after_any_history(drift: Drift, old: int, where: Where) -> None:
    """The table of manifests is filled once. Then only the rows of the batch are read: the last report has the rest."""
    publish_old_batches(drift.log, DATASET, old, where)
    epoch, number = next_batch(old, where)
    for _ in range(3):
        await drift.assess(publish_batch(drift.log, DATASET, epoch, number, api_rows(0, 50, 1)))
        number += 1
    drift.log.read_records.clear()
    await drift.assess(publish_batch(drift.log, DATASET, epoch, number, api_rows(0, 50, 1)))
    assert drift.stored.reports[epoch, number].previous == number - 1
    assert drift.log.read_records["real_estate.rows"] == 1
    assert drift.log.read_records["real_estate.batches"] <= 2, "its own records"


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


def without(rows: list[dict[str, Any]], column: str, kept: int = 0) -> list[dict[str, Any]]:
    """Rows of which only the first `kept` have a value in the column."""
    return [row if index < kept else row | {column: None} for index, row in enumerate(rows)]


def as_words(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose numbers are texts that no rule reads."""
    return [{name: f"about {v}" if isinstance(v, float) else v for name, v in row.items()} for row in rows]


@pytest.mark.failure("F270")
async def test_a_batch_is_compared_with_the_last_batch_that_has_the_statistic(drift: Drift) -> None:
    """A batch whose numbers came as words is passed over, so the next good batch is compared with the one before."""
    rows = api_rows(0, 50, 1)
    for number, batch in enumerate([rows, as_words(rows), rows]):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, batch))
    report = drift.stored.reports[1, 2]
    assert (report.verdict, report.previous) == ("no drift", 1)
    assert {(each.previous, each.change) for each in report.figures} == {(0, 0.0)}


@pytest.mark.failure("F270")
async def test_each_statistic_has_its_own_last_batch(drift: Drift) -> None:
    """House sizes that change while they are missing in a batch between are drift, and the reason names the batch."""
    rows = api_rows(0, 50, 1)
    larger = [row | {"house_size": 2 * row["house_size"]} for row in rows]
    for number, batch in enumerate([rows, without(rows, "house_size"), larger]):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, batch))
    report = drift.stored.reports[1, 2]
    assert report.verdict == "drift"
    assert report.reason.endswith("(+100 %, limit 15 %, since batch 0), and 3 more")
    assert {each.previous for each in report.figures if each.column == "house_size"} == {0}
    assert {each.previous for each in report.figures if each.column != "house_size"} == {None}


@pytest.mark.failure("F271")
async def test_a_column_that_lost_its_values_is_drift(drift: Drift) -> None:
    """The reason names it, a training is requested, and the next batch without it has not lost it again."""
    rows = api_rows(0, 50, 1)
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, rows))
    for number in (1, 2):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, without(rows, "house_size", kept=3)))
    first, second = drift.stored.reports[1, 1], drift.stored.reports[1, 2]
    assert first.verdict == "drift"
    assert first.reason.startswith("house_size lost 94 % of its values")
    assert second.verdict == "no drift"
    assert [event.id for event in drift.events if event.type == "retrain.requested"] == [
        "real_estate/1/0/retrain",
        "real_estate/1/1/retrain",
    ]


@pytest.mark.failure("F272")
async def test_half_of_the_last_rows_is_a_finding_and_no_drift(drift: Drift) -> None:
    """It has both counts, and requests no training."""
    rows = api_rows(0, 50, 1)
    for number, batch in enumerate([rows + rows, rows]):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, batch))
    report = drift.stored.reports[1, 1]
    assert report.verdict == "no drift"
    assert report.findings == ["volume: 50 rows, 50 % of the 100 rows of batch 0"]
    assert drift.events[-1].type == "drift.assessed"


@pytest.mark.failure("F106", "F270")
async def test_a_batch_that_cannot_be_read_keeps_what_the_next_one_is_compared_with(drift: Drift) -> None:
    """So the rows of earlier batches are not read again."""
    rows = api_rows(0, 50, 1)
    await drift.assess(publish_batch(drift.log, DATASET, 1, 0, rows))
    await drift.assess(publish_batch(drift.log, DATASET, 1, 1, rows, digest="wrong"))
    drift.log.read_records.clear()
    await drift.assess(publish_batch(drift.log, DATASET, 1, 2, rows))
    assert drift.stored.reports[1, 2].previous == 0
    assert drift.log.read_records == {"real_estate.rows": 1}


@pytest.mark.parametrize("restart", ["of the process", "after a wipe of the database"])
@pytest.mark.failure("F101", "F270")
async def test_what_a_batch_is_compared_with_survives_a_restart(drift: Drift, restart: str) -> None:
    """It is in the last report: in the table, and in the event from which the table is restored."""
    rows = api_rows(0, 50, 1)
    for number, batch in enumerate([rows, as_words(rows)]):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, batch))
    again = Drift(drift.log)
    if restart == "of the process":
        again.transactions.committed.reports = drift.stored
    else:
        drift.log.publish([message for message in drift.outbox if message.topic == "real_estate.drift"])
        published = [decode(record) for record in drift.log.read("real_estate.drift", 0, 0, 9)]
        await again.transactions.run(lambda uow: again.handler.restore(published, uow))
    await again.assess(publish_batch(drift.log, DATASET, 1, 2, rows))
    assert (again.stored.reports[1, 2].verdict, again.stored.reports[1, 2].figures[0].previous) == ("no drift", 0)


@pytest.mark.parametrize("change", [{"baseline": None}, {"dataset_digest": "another"}])
@pytest.mark.failure("F273")
async def test_a_report_without_a_comparable_baseline_is_completed_from_rows(
    drift: Drift, change: dict[str, object]
) -> None:
    """That of an earlier version has none, and that of another dataset file has other values: the rows are read."""
    rows = api_rows(0, 50, 1)
    for number, batch in enumerate([rows, rows, as_words(rows)]):
        await drift.assess(publish_batch(drift.log, DATASET, 1, number, batch))
    for key, report in drift.stored.reports.items():
        baseline = report.baseline and report.baseline.model_copy(update=change)
        drift.stored.reports[key] = report.model_copy(update={"baseline": change.get("baseline", baseline)})
    drift.log.read_records.clear()
    await drift.assess(publish_batch(drift.log, DATASET, 1, 3, rows))
    report = drift.stored.reports[1, 3]
    assert (report.verdict, report.previous, report.figures[0].previous) == ("no drift", 2, 1)
    assert drift.log.read_records["real_estate.rows"] == 3, "the batch, the last one, and one that has all statistics"
