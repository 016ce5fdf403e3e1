"""Measures the champion's intervals on each batch that closes, and adjusts their level."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.errors import Retry, StateLost
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Event, encode, trace_of
from veleta.faults import fault_point
from veleta.ports import INTERVAL_LEVEL, Registry, Version
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_trainer.domain.interval_level import MIN_ROWS, BatchMeasures, IntervalLevelRow, adjusted, level_of
from veleta_trainer.domain.training import PromotionRow
from veleta_trainer.handlers import SERVICE
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import BatchMeasurer, TrainerUnitOfWork

WATCH_SECONDS = 2.0
"""The pause between two looks for closed batches."""
NEWEST_BATCHES = 3
"""Of the batches that are not yet measured, so many are: the level follows the present data, not the history."""
COVERAGE_GAUGE = prometheus_client.Gauge(
    "veleta_interval_coverage", "the share of the last measured batch's prices in the champion's intervals"
)
LEVEL_GAUGE = prometheus_client.Gauge("veleta_interval_level", "the level of the champion's intervals")
log = structlog.get_logger()


@dataclass
class IntervalAdjuster:
    """Adjusts the level of the champion's intervals once for each batch, also after a kill at any place.

    It works under the lease of the workflow's last step, and never waits for a training nor delays one.
    """

    _dataset: str
    _transactions: FencedTransactions
    _manifests: Manifests
    _registry: Registry
    _measurer: BatchMeasurer
    _publisher: OutboxPublisher
    _health: ServiceHealth
    _clock: Clock
    _champion: tuple[int, Version] | None = None
    """The champion by the number of its promotion, as the registry had it."""
    _passed: tuple[int, int] = (0, 0)
    """The last batch that this process measured for it, or could not."""
    _tagged: IntervalLevelRow | None = None
    _unadjustable: int = 0
    """The number of the promotion of a version without intervals."""

    async def run(self) -> None:
        """Adjust until the service stops. Then the measurement in progress ends at once."""
        await self._health.cancel_on_stop(self._adjust_regularly())

    async def _adjust_regularly(self) -> None:
        while await self._health.wait(WATCH_SECONDS):
            with contextlib.suppress(Retry, StateLost):  # the workflow and the watches show them
                await self.adjust()

    async def adjust(self) -> None:
        """Measure the newest closed batches that the champion was not measured on.

        Raises:
            Retry: a dependency is unavailable, or another trainer holds the lease.
            StateLost: the tables may be behind the topics.
        """
        promotion = await self._transactions.run(lambda uow: uow.promotions.champion())
        version = await self._version(promotion) if promotion else None
        if promotion is None or version is None or promotion.seq == self._unadjustable:
            return
        last = await self._transactions.run(lambda uow: uow.interval_levels.last(version))
        await self._tag(version, last)
        for manifest in await self._due(version, last):
            last = await self._adjust(promotion, version, manifest, last)
            self._passed = manifest.epoch, manifest.number

    async def _version(self, promotion: PromotionRow) -> Version | None:
        if self._champion is None or self._champion[0] != promotion.seq:
            version = await asyncio.to_thread(self._registry.version, promotion.version)
            self._champion = (promotion.seq, version) if version else None
            self._passed = 0, 0
        return self._champion[1] if self._champion else None

    async def _due(self, version: Version, last: IntervalLevelRow | None) -> Sequence[BatchClosed]:
        """The newest batches after the last measured one. Those of the version's training calibrated its intervals."""
        newest = await self._manifests.last()
        if newest is None:
            return []
        training = await self._transactions.run(lambda uow: uow.trainings.of_version(version.number))
        learnt = [(each.epoch, each.number) for each in training.recipe.batches] if training else []
        measured = [(last.epoch, last.number)] if last else []
        passed = max([self._passed, *learnt, *measured])
        batches = await self._manifests.newest(newest.epoch, newest.number, NEWEST_BATCHES)
        return [each for each in batches if (each.epoch, each.number) > passed]

    async def _adjust(
        self, promotion: PromotionRow, version: Version, manifest: BatchClosed, last: IntervalLevelRow | None
    ) -> IntervalLevelRow | None:
        """Measure one batch: the level after it. A batch that cannot be measured changes nothing."""
        place = manifest.epoch, manifest.number
        history = await self._transactions.run(
            lambda uow: uow.market_levels.history(version.number, version.run_id, place)
        )
        try:
            measures = await self._measurer.measure(version, manifest, level_of(last), history)
        except (Retry, StateLost):
            raise
        except Exception as error:  # noqa: BLE001 - the intervals stay as they are, whatever a batch does
            log.warning("batch not measured", batch=manifest.batch, version=version.number, reason=str(error))
            return last
        if measures is None:
            self._unadjustable = promotion.seq
        if measures is None or measures.rows < MIN_ROWS:
            return last
        fault_point("trainer.measured")
        row = await self._store(version, manifest, measures, last)
        fault_point("trainer.adjusted")
        await self._publisher.publish_pending()
        await self._tag(version, row)
        return row

    async def _store(
        self, version: Version, manifest: BatchClosed, measures: BatchMeasures, last: IntervalLevelRow | None
    ) -> IntervalLevelRow:
        """Store the level after a batch with its event."""
        row = adjusted(version, manifest, measures, level_of(last), self._clock())
        event_id = f"{manifest.batch}/intervals/{version.number}"
        cause, trace = f"{manifest.batch}/closed", trace_of(manifest.batch)
        event = Event(event_id, SERVICE, row.adjusted_at, row.payload(self._dataset), cause=cause, trace=trace)

        def transaction(uow: TrainerUnitOfWork) -> None:
            uow.interval_levels.save(row)
            uow.outbox.append(encode(topic(self._dataset, "models"), event))

        await self._transactions.run(transaction)
        return row

    async def _tag(self, version: Version, row: IntervalLevelRow | None) -> None:
        """Set the tag of the version, from which a start of inference reads the level, unless it was deleted."""
        if row is None or row == self._tagged:
            return
        await self._transactions.check_lease()
        if await asyncio.to_thread(self._registry.version, version.number):
            await asyncio.to_thread(self._registry.set_tag, version.number, INTERVAL_LEVEL, str(row.adjusted))
        self._tagged = row
        COVERAGE_GAUGE.set(row.coverage)
        LEVEL_GAUGE.set(row.level)
