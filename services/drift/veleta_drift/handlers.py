"""What drift does with a closed batch."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from veleta.batches import BatchReader, RowsDeleted
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, caused_event, encode
from veleta.ports import EventLog
from veleta.processing.manifests import Manifests
from veleta.topics import topic
from veleta_drift.domain.statistics import ColumnValues, Statistics
from veleta_drift.domain.threshold_rule import POLICY, THRESHOLD, Assessment, compare
from veleta_drift.ports import DriftUnitOfWork

SERVICE = "drift"
MAX_LOOKBACK = 20
"""Batches before a batch that are tried, from the last one on, until one is complete."""


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
        manifests: Manifests,
        clock: Clock,
        on_chunk: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_chunk` is called for each chunk of rows: a sign of progress."""
        self._dataset = dataset
        self._manifests = manifests
        self._reader = BatchReader(event_log, on_chunk)
        self._clock = clock

    async def prepare(self, event: Event) -> PreparedReport:
        """Compare the batch with the last complete batch before it in its epoch."""
        manifest = _manifest(event)
        before = await self._manifests.newest(manifest.epoch, manifest.number - 1, MAX_LOOKBACK)
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
        report = self._report(_manifest(event), None, Assessment("not enough data", str(error), []))
        self.apply(event, PreparedReport(report, first_of_epoch=False), uow)

    def restore(self, published: Sequence[Event], uow: DriftUnitOfWork) -> None:
        """Insert the published reports that the tables do not have: the database was wiped."""
        for event in published:
            report = event.payload
            if isinstance(report, DriftAssessed) and not uow.reports.exists(report.epoch, report.number):
                uow.reports.insert(report, event.time)

    def _prepare(self, manifest: BatchClosed, before: Sequence[BatchClosed]) -> PreparedReport:
        try:
            new = self._statistics(manifest)
        except RowsDeleted as deleted:  # after a wipe: the verdict on it was restored, or never came
            no_rows = Assessment("not enough data", str(deleted), [])
            return PreparedReport(self._report(manifest, None, no_rows), first_of_epoch=False)
        previous = self._last_complete(before)
        if previous is None:
            no_comparison = Assessment("not enough data", "first batch of the epoch", [])
            return PreparedReport(self._report(manifest, None, no_comparison), first_of_epoch=True)
        number, old = previous
        return PreparedReport(self._report(manifest, number, compare(self._dataset, old, new)), first_of_epoch=False)

    def _last_complete(self, batches: Sequence[BatchClosed]) -> tuple[int, Statistics] | None:
        """Number and statistics of the last batch whose rows can be read."""
        for manifest in reversed(batches):
            try:
                return manifest.number, self._statistics(manifest)
            except Reject:
                continue
        return None

    def _statistics(self, manifest: BatchClosed) -> Statistics:
        values = ColumnValues(self._dataset)
        for rows in self._reader.chunks(manifest):
            values.add(rows)
        return values.statistics()

    def _report(self, manifest: BatchClosed, previous: int | None, assessment: Assessment) -> DriftAssessed:
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
            figures=assessment.statistics,
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
