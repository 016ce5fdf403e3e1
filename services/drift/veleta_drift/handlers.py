"""What drift does with a closed batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from veleta.batches import BatchReader, batch_manifests, read_events
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, encode, follow
from veleta.ports import EventLog, UnitOfWork
from veleta.topics import topic
from veleta_drift.domain.figures import Columns, Figures
from veleta_drift.domain.seed_rule import POLICY, THRESHOLD, Assessment, compare

SERVICE = "drift"


@dataclass(frozen=True)
class Prepared:
    """A verdict to be kept; `first`: the batch opens its epoch, and asks for a training whatever the verdict."""

    assessed: DriftAssessed
    first: bool


class Reports(Protocol):
    """Drift's tables within one transaction."""

    def known(self, epoch: int, number: int) -> bool:
        """Whether this batch has its verdict."""
        ...

    def judged(self) -> set[tuple[int, int]]:
        """Epoch and number of every batch that has its verdict."""
        ...

    def keep(self, assessed: DriftAssessed, at: datetime) -> None:
        """Keep a report with all its figures."""
        ...


class DriftUnitOfWork(UnitOfWork, Protocol):
    """Drift's transaction."""

    @property
    def reports(self) -> Reports:
        """The drift reports."""
        ...


class DriftHandler:
    """The handler of `batches`: reads, computes, and keeps the verdict together with the events that tell of it."""

    event_types = (BatchClosed,)

    def __init__(self, dataset: Dataset, log: EventLog, clock: Clock) -> None:
        self._dataset = dataset
        self._log = log
        self._reader = BatchReader(log)
        self._clock = clock

    def prepare(self, event: Event) -> Prepared:
        """Compare the batch with the last complete one before it in its epoch."""
        manifest = _manifest(event)
        new = self._figures(manifest)
        previous = self._previous(manifest)
        if previous is None:
            nothing = Assessment("not enough data", "first of the epoch", [])
            return Prepared(self._assessed(manifest, None, nothing), first=True)
        number, old = previous
        return Prepared(self._assessed(manifest, number, compare(old, new)), first=False)

    def apply(self, event: Event, prepared: Prepared, uow: DriftUnitOfWork) -> None:
        """Keep the verdict, unless there is one, and send it; ask for a retraining when the rule says so."""
        reports, assessed = uow.reports, prepared.assessed
        manifest = _manifest(event)
        if reports.known(manifest.epoch, manifest.number):
            return
        now = self._clock()
        reports.keep(assessed, now)
        report = follow(event, f"{manifest.batch}/assessed", SERVICE, now, assessed)
        uow.outbox.append(encode(topic(manifest.dataset, "drift"), report))
        if assessed.verdict == "drift" or prepared.first:
            request = follow(report, f"{manifest.batch}/retrain", SERVICE, now, _request(prepared))
            uow.outbox.append(encode(topic(manifest.dataset, "retrain"), request))

    def on_dead_letter(self, event: Event, error: Exception, uow: DriftUnitOfWork) -> None:
        """A batch that cannot be read has a verdict too."""
        manifest = _manifest(event)
        unread = self._assessed(manifest, None, Assessment("not enough data", str(error), []))
        self.apply(event, Prepared(unread, first=False), uow)

    def published_reports(self) -> list[tuple[DriftAssessed, datetime]]:
        """Every report that was published, with its time, in order; some twice. Blocks; raises Retry."""
        events = read_events(self._log, self._dataset.name, "drift")
        return [(event.payload, event.time) for event in events if isinstance(event.payload, DriftAssessed)]

    def restore(self, published: Sequence[tuple[DriftAssessed, datetime]], uow: DriftUnitOfWork) -> None:
        """Keep those of the published reports that are not in the tables: they were wiped."""
        reports = uow.reports
        judged = reports.judged()
        for report, at in published:
            if (place := (report.epoch, report.number)) not in judged:
                judged.add(place)
                reports.keep(report, at)

    def _previous(self, manifest: BatchClosed) -> tuple[int, Figures] | None:
        """Number and figures of the last batch before this one in its epoch that can be read whole."""
        closed = batch_manifests(read_events(self._log, self._dataset.name))
        before = sorted((key for key in closed if key[0] == manifest.epoch and key[1] < manifest.number), reverse=True)
        for key in before:
            try:
                return key[1], self._figures(_manifest(closed[key]))
            except Reject:
                continue
        return None

    def _figures(self, manifest: BatchClosed) -> Figures:
        columns = Columns(self._dataset)
        for rows in self._reader.chunks(manifest):
            columns.add(rows)
        return columns.figures()

    def _assessed(self, manifest: BatchClosed, previous: int | None, assessment: Assessment) -> DriftAssessed:
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
            figures=assessment.figures,
        )


def _manifest(event: Event) -> BatchClosed:
    if not isinstance(event.payload, BatchClosed):
        raise TypeError(f"{event.type} is no manifest")
    return event.payload


def _request(prepared: Prepared) -> RetrainRequested:
    assessed = prepared.assessed
    compared = [n for n in (assessed.previous, assessed.number) if n is not None]
    return RetrainRequested(
        dataset=assessed.dataset,
        epoch=assessed.epoch,
        number=assessed.number,
        reason=assessed.reason,
        first=prepared.first,
        batches=[f"{assessed.dataset}/{assessed.epoch}/{n}" for n in compared],
    )
