"""What drift does with a closed batch."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import get_args

import prometheus_client
import structlog

from veleta.batches import RowsDeleted
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import (
    Baseline,
    BatchClosed,
    DriftAssessed,
    Growth,
    LevelUpdated,
    RetrainJudged,
    RetrainRequested,
    RetrainVerdict,
)
from veleta.events.envelope import Event, caused_event, encode
from veleta.ports import EventLog, Transactions
from veleta.processing.manifests import Manifests
from veleta.topics import topic
from veleta_drift.batch_measurer import BatchMeasurer, Known, Measured, Versions, proposed_rollback
from veleta_drift.batch_sampler import BatchSampler, LocalBatchSampler, SampledBatch
from veleta_drift.domain import growth
from veleta_drift.domain.assessment import assess
from veleta_drift.domain.baseline import MAX_LOOKBACK, is_complete, kept_baseline, next_baseline
from veleta_drift.domain.evidence import Judgement
from veleta_drift.domain.inputs_arm import Presence
from veleta_drift.domain.policies import verdicts
from veleta_drift.domain.samples import Inputs
from veleta_drift.domain.statistics import BatchSummary
from veleta_drift.domain.threshold_rule import THRESHOLD, Assessment
from veleta_drift.growth_meter import GrowthMeter
from veleta_drift.level_keeper import LevelKeeper
from veleta_drift.ports import SERVICE, DriftUnitOfWork, Models

log = structlog.get_logger()
FIRST_BATCH = "first batch of the epoch"
NO_COMPARISON = Assessment("not enough data", FIRST_BATCH)
RETRAINS = prometheus_client.Gauge(
    "veleta_retrains", "trainings by whether they helped: helped, no difference or harmed", ["verdict"]
)
MAX_UPDATES = 200
"""The updates of the level, and so the periods since the training, that rows of a batch are compared by."""
RETRAIN_VERDICTS: tuple[RetrainVerdict, ...] = get_args(RetrainVerdict)


@dataclass(frozen=True)
class PreparedReport:
    """A report that is not yet stored. For the first batch of an epoch a training is requested whatever the verdict.

    `more_data` is the reason of a training that is due because of the number of rows.
    """

    report: DriftAssessed
    first_of_epoch: bool
    judged: RetrainJudged | None = None
    more_data: str = ""


class DriftHandler:
    """The handler of `batches`: compares a batch, then stores the report together with its events."""

    event_types = (BatchClosed,)

    def __init__(
        self,
        dataset: Dataset,
        event_log: EventLog,
        transactions: Transactions[DriftUnitOfWork],
        models: Models,
        clock: Clock,
        sampler: BatchSampler | None = None,
        levels: LevelKeeper | None = None,
    ) -> None:
        """`sampler` reads batches; without one this process does. `levels` follows each batch first."""
        self._dataset = dataset
        self._transactions = transactions
        self._manifests = Manifests(dataset.name, event_log, transactions)
        self._meter = GrowthMeter(dataset, self._manifests)
        self._sampler = sampler or LocalBatchSampler(dataset, event_log)
        self._levels = levels
        self._measurer = BatchMeasurer(dataset, models)
        self._clock = clock

    async def prepare(self, event: Event) -> PreparedReport:
        """Compare the batch with the baseline before it in its epoch, and with what the champion learnt from.

        Before that the champion's level follows the batch, and is published.
        """
        versions = await asyncio.to_thread(self._measurer.versions)
        sample = await self._levels.follow(_manifest(event), versions.champion) if self._levels else None
        return await self.prepare_with(event, versions, sample)

    async def prepare_with(
        self, event: Event, versions: Versions, sample: SampledBatch | None = None
    ) -> PreparedReport:
        """`prepare` with these versions, after the level has followed. `sample` is the batch if it was read for that.

        The same batches, versions and updates of the level give the same report.
        """
        manifest = _manifest(event)
        before = await self._transactions.run(lambda uow: self._stored_baseline(manifest, uow))
        if before is None:
            earlier = await self._manifests.newest(manifest.epoch, manifest.number - 1, MAX_LOOKBACK)
            before = await self._read_baseline(earlier)
        copy_of = await self._manifests.copied(manifest)
        inputs = await self._inputs_before(manifest, before)
        known = await self._transactions.run(lambda uow: self._known(manifest, versions, uow))
        grown = await self._meter.growth(manifest, versions.champion, known.growth)
        if sample is None:
            try:
                sample = await self._sampler.read(manifest)
            except RowsDeleted as deleted:  # after a wipe: the verdict on it was restored, or never came
                return self._without_rows(manifest, before, deleted)
        return await asyncio.to_thread(self._prepare, manifest, before, inputs, versions, known, copy_of, sample, grown)

    def apply(self, event: Event, prepared: PreparedReport, uow: DriftUnitOfWork) -> None:
        """Store and publish the report, and request a training if one is due. A batch gets only one report."""
        manifest, report = _manifest(event), prepared.report
        if uow.reports.exists(manifest.epoch, manifest.number):
            return
        now = self._clock()
        uow.reports.insert(report, now)
        assessed = caused_event(event, f"{manifest.batch}/assessed", SERVICE, now, report)
        uow.outbox.append(encode(topic(manifest.dataset, "drift"), assessed))
        if prepared.judged and not uow.retrain_verdicts.exists(prepared.judged.version):
            self._store_judgement(assessed, prepared.judged, uow)
        self.count_retrains(uow)
        if report.verdict == "drift" or prepared.first_of_epoch or prepared.more_data:
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
            if isinstance(report, RetrainJudged) and not uow.retrain_verdicts.exists(report.version):
                uow.retrain_verdicts.insert(report, event.time)
            if isinstance(report, LevelUpdated):
                uow.levels.restore(report, event.time)

    def count_retrains(self, uow: DriftUnitOfWork) -> None:
        """Set the metric to what the table has: another worker may have judged trainings."""
        counts = uow.retrain_verdicts.counts()
        for verdict in RETRAIN_VERDICTS:
            RETRAINS.labels(verdict).set(counts.get(verdict, 0))

    def _store_judgement(self, assessed: Event, judged: RetrainJudged, uow: DriftUnitOfWork) -> None:
        """Store whether a training helped, and propose a rollback if it harmed."""
        now, name = assessed.time, topic(judged.dataset, "drift")
        uow.retrain_verdicts.insert(judged, now)
        judgement = caused_event(assessed, f"{judged.batch}/judged/{judged.version}", SERVICE, now, judged)
        uow.outbox.append(encode(name, judgement))
        if judged.verdict == "harmed":
            proposal = proposed_rollback(judged)
            log.warning("rollback proposed", version=judged.version, previous=judged.previous, reason=proposal.reason)
            event = caused_event(judgement, f"{judged.batch}/rollback/{judged.version}", SERVICE, now, proposal)
            uow.outbox.append(encode(name, event))

    def _stored_baseline(self, manifest: BatchClosed, uow: DriftUnitOfWork) -> Baseline | None:
        """The baseline in the last report of the epoch. None if its values are those of another dataset file."""
        stored = uow.reports.baseline(manifest.epoch, manifest.number)
        return stored if stored and stored.dataset_digest == self._dataset.digest else None

    def _known(self, manifest: BatchClosed, versions: Versions, uow: DriftUnitOfWork) -> Known:
        """What earlier reports have of the versions."""
        champion, previous, place = versions.champion, versions.previous, (manifest.epoch, manifest.number)
        if champion is None:
            return Known()
        levels, version = uow.levels, (champion.number, champion.run_id)
        return Known(
            uow.reports.risk(*place, champion.number),
            uow.reports.pair(*place, champion.number, previous.number) if previous else None,
            uow.reports.growth(*place, champion.number),
            levels.of_batches(*version, *place, MAX_UPDATES) if champion.market else (),
        )

    async def _inputs_before(self, manifest: BatchClosed, before: Baseline | None) -> Inputs | None:
        """The sample of the batch of the baseline. None without one, or if its rows were deleted.

        The rows are read again if the sample is not in memory, so that a restart between two batches changes no test.
        """
        if before is None:
            return None
        kept = self._measurer.kept(f"{manifest.dataset}/{manifest.epoch}/{before.number}")
        if kept is not None:
            return kept
        earlier = await self._manifests.newest(manifest.epoch, before.number, 1)
        return await self._read_inputs(earlier)

    async def _read_inputs(self, batches: Sequence[BatchClosed]) -> Inputs | None:
        """The sample of a batch. None if there is none, or if its rows cannot be read."""
        for manifest in batches:
            with suppress(Reject):
                return await asyncio.to_thread(self._measurer.inputs, await self._sampler.read(manifest))
        return None

    async def _read_baseline(self, batches: Sequence[BatchClosed]) -> Baseline | None:
        """The baseline after these batches, of which only the last ones are read. None if none is readable."""
        summaries: dict[int, BatchSummary] = {}
        for manifest in reversed(batches):
            with suppress(Reject):
                summaries[manifest.number] = (await self._sampler.read(manifest)).summary
            if is_complete(summaries.values()):
                break
        baseline = None
        for number, summary in reversed(summaries.items()):
            baseline = next_baseline(self._dataset, baseline, number, summary)
        return baseline

    def _prepare(
        self,
        manifest: BatchClosed,
        before: Baseline | None,
        inputs_before: Inputs | None,
        versions: Versions,
        known: Known,
        copy_of: BatchClosed | None,
        sample: SampledBatch,
        grown: Growth | None,
    ) -> PreparedReport:
        batch = sample.summary
        assessment = assess(self._dataset, before, batch) if before else NO_COMPARISON
        baseline = next_baseline(self._dataset, before, manifest.number, batch)
        previous = before.number if before else None
        presence = (Presence(before.rows, before.values), Presence(batch.rows, batch.values)) if before else None
        measured = self._measurer.measure(manifest, versions, sample, inputs_before, presence, known)
        if (update := known.update_of(manifest)) and update.outcome in ("waiting", "late"):
            assessment = replace(assessment, findings=[*assessment.findings, update.reason])
        report = self._report(manifest, previous, assessment, baseline, measured)
        if copy_of:
            reason = f"the same rows as batch {copy_of.number} of epoch {copy_of.epoch}"
            report = report.model_copy(update={"verdict": "no drift", "reason": reason})
        due, first = grown is not None and growth.is_due(grown, self._dataset.training.growth), before is None
        if grown and (due or first or report.verdict == "drift"):
            grown = growth.requested(grown)
        report = report.model_copy(update={"growth": grown})
        more_data = growth.reason(grown) if grown and due and not first and report.verdict != "drift" else ""
        return PreparedReport(report, first, measured.judged, more_data)

    def _without_rows(self, manifest: BatchClosed, before: Baseline | None, error: Exception) -> PreparedReport:
        """The report on a batch whose rows cannot be read."""
        baseline, unread = kept_baseline(before, manifest.number), Assessment("not enough data", str(error))
        report = self._report(manifest, None, unread, baseline, Measured(Judgement("not enough data", str(error))))
        return PreparedReport(report, first_of_epoch=False)

    def _report(
        self,
        manifest: BatchClosed,
        previous: int | None,
        assessment: Assessment,
        baseline: Baseline | None,
        measured: Measured,
    ) -> DriftAssessed:
        found = verdicts(self._dataset, assessment, measured.judgement, measured.risk)
        decisive = found[self._dataset.drift.policy]
        return DriftAssessed(
            dataset=manifest.dataset,
            epoch=manifest.epoch,
            number=manifest.number,
            previous=previous,
            verdict=decisive.verdict,
            reason=decisive.reason,
            policy=decisive.policy,
            threshold=THRESHOLD,
            dataset_digest=self._dataset.digest,
            figures=list(assessment.statistics),
            findings=list(assessment.findings),
            baseline=baseline,
            champion=measured.champion,
            verdicts=list(found.values()),
            tests=list(measured.tests),
            errors=measured.errors,
            risk=measured.risk,
            histograms=list(measured.histograms),
            importance=dict(measured.importance),
            pair=measured.pair,
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
        reason=prepared.more_data or (FIRST_BATCH if report.verdict == "no drift" else report.reason),
        first=prepared.first_of_epoch and report.verdict != "drift",
        batches=[f"{report.dataset}/{report.epoch}/{number}" for number in compared],
    )
