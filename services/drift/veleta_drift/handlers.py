"""What drift does with a closed batch."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from veleta.batches import BatchReader, RowsDeleted
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import Baseline, BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, caused_event, encode
from veleta.ports import EventLog, Transactions
from veleta.processing.manifests import Manifests
from veleta.topics import topic
from veleta_drift.domain.assessment import assess
from veleta_drift.domain.baseline import MAX_LOOKBACK, is_complete, kept_baseline, next_baseline
from veleta_drift.domain.statistics import BatchSummary, ColumnValues
from veleta_drift.domain.threshold_rule import POLICY, THRESHOLD, Assessment
from veleta_drift.ports import DriftUnitOfWork

SERVICE = "drift"
NO_COMPARISON = Assessment("not enough data", "first batch of the epoch")


@dataclass(frozen=True)
class PreparedReport:
    """A report that is not yet stored. For the first batch of an epoch a training is requested whatever the verdict."""

    report: DriftAssessed
    first_of_epoch: bool


class DriftHandler:
    """The handler of `batches`: compares a batch, then stores the report together with its events."""

    event_types = (BatchClosed,)

    def __init__(
        self,
        dataset: Dataset,
        event_log: EventLog,
        transactions: Transactions[DriftUnitOfWork],
        clock: Clock,
        on_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_chunk` is called for each chunk of rows: a sign of progress."""
        self._dataset = dataset
        self._transactions = transactions
        self._manifests = Manifests(dataset.name, event_log, transactions)
        self._reader = BatchReader(event_log, on_chunk)
        self._clock = clock

    async def prepare(self, event: Event) -> PreparedReport:
        """Compare the batch with the baseline before it in its epoch."""
        manifest = _manifest(event)
        before = await self._transactions.run(lambda uow: self._stored_baseline(manifest, uow))
        if before is None:
            earlier = await self._manifests.newest(manifest.epoch, manifest.number - 1, MAX_LOOKBACK)
            before = await asyncio.to_thread(self._read_baseline, earlier)
        return await asyncio.to_thread(self._prepare, manifest, before)

    def apply(self, event: Event, prepared: PreparedReport, uow: DriftUnitOfWork) -> None:
        """Store and publish the report, and request a training if one is due. A batch gets only one report."""
        manifest, report = _manifest(event), prepared.report
        if uow.reports.exists(manifest.epoch, manifest.number):
            return
        now = self._clock()
        uow.reports.insert(report, now)
        assessed = caused_event(event, f"{manifest.batch}/assessed", SERVICE, now, report)
        uow.outbox.append(encode(topic(manifest.dataset, "drift"), assessed))
        if report.verdict == "drift" or prepared.first_of_epoch:
            request = caused_event(assessed, f"{manifest.batch}/retrain", SERVICE, now, _training_request(prepared))
            uow.outbox.append(encode(topic(manifest.dataset, "retrain"), request))

    def on_dead_letter(self, event: Event, error: Exception, uow: DriftUnitOfWork) -> None:
        """Store the verdict "not enough data" for a batch whose rows cannot be read."""
        manifest = _manifest(event)
        self.apply(event, self._without_rows(manifest, self._stored_baseline(manifest, uow), error), uow)

    def restore(self, published: Sequence[Event], uow: DriftUnitOfWork) -> None:
        """Insert the published reports that the tables do not have: the database was wiped."""
        for event in published:
            report = event.payload
            if isinstance(report, DriftAssessed) and not uow.reports.exists(report.epoch, report.number):
                uow.reports.insert(report, event.time)

    def _stored_baseline(self, manifest: BatchClosed, uow: DriftUnitOfWork) -> Baseline | None:
        """The baseline in the last report of the epoch. None if its values are those of another dataset file."""
        stored = uow.reports.baseline(manifest.epoch, manifest.number)
        return stored if stored and stored.dataset_digest == self._dataset.digest else None

    def _read_baseline(self, batches: Sequence[BatchClosed]) -> Baseline | None:
        """The baseline after these batches, of which only the last ones are read. None if none is readable."""
        summaries: dict[int, BatchSummary] = {}
        for manifest in reversed(batches):
            with suppress(Reject):
                summaries[manifest.number] = self._summary(manifest)
            if is_complete(summaries.values()):
                break
        baseline = None
        for number, summary in reversed(summaries.items()):
            baseline = next_baseline(self._dataset, baseline, number, summary)
        return baseline

    def _prepare(self, manifest: BatchClosed, before: Baseline | None) -> PreparedReport:
        try:
            batch = self._summary(manifest)
        except RowsDeleted as deleted:  # after a wipe: the verdict on it was restored, or never came
            return self._without_rows(manifest, before, deleted)
        assessment = assess(self._dataset, before, batch) if before else NO_COMPARISON
        baseline = next_baseline(self._dataset, before, manifest.number, batch)
        previous = before.number if before else None
        return PreparedReport(self._report(manifest, previous, assessment, baseline), first_of_epoch=before is None)

    def _without_rows(self, manifest: BatchClosed, before: Baseline | None, error: Exception) -> PreparedReport:
        """The report on a batch whose rows cannot be read."""
        baseline = kept_baseline(before, manifest.number)
        report = self._report(manifest, None, Assessment("not enough data", str(error)), baseline)
        return PreparedReport(report, first_of_epoch=False)

    def _summary(self, manifest: BatchClosed) -> BatchSummary:
        values = ColumnValues(self._dataset)
        for rows in self._reader.chunks(manifest):
            values.add(rows)
        return values.summary()

    def _report(
        self, manifest: BatchClosed, previous: int | None, assessment: Assessment, baseline: Baseline | None
    ) -> DriftAssessed:
        return DriftAssessed(
            dataset=manifest.dataset,
            epoch=manifest.epoch,
            number=manifest.number,
            previous=previous,
            verdict=assessment.verdict,
            reason=assessment.reason,
            policy=POLICY,
            threshold=THRESHOLD,
            dataset_digest=self._dataset.digest,
            figures=list(assessment.statistics),
            findings=list(assessment.findings),
            baseline=baseline,
        )


def _manifest(event: Event) -> BatchClosed:
    if not isinstance(event.payload, BatchClosed):
        raise TypeError(f"{event.type} is not a manifest")
    return event.payload


def _training_request(prepared: PreparedReport) -> RetrainRequested:
    report = prepared.report
    compared = [number for number in (report.previous, report.number) if number is not None]
    return RetrainRequested(
        dataset=report.dataset,
        epoch=report.epoch,
        number=report.number,
        reason=report.reason,
        first=prepared.first_of_epoch,
        batches=[f"{report.dataset}/{report.epoch}/{number}" for number in compared],
    )
