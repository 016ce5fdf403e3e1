"""Does what a new champion requires: its level follows the batches that it missed, and these may be enough to train."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Retry, StateLost
from veleta.events.catalogue import BatchClosed, Growth, ModelPromoted, RetrainRequested
from veleta.events.envelope import Event, Record, encode, header_texts, trace_of
from veleta.faults import fault_point
from veleta.ports import EventLog, Transactions
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_drift.domain import growth
from veleta_drift.growth_meter import GrowthMeter
from veleta_drift.level_keeper import LevelKeeper
from veleta_drift.ports import SERVICE, DriftUnitOfWork, Model, Models

PROMOTIONS, CHAMPION = "promotions", "champion"
"""The loops of this part, as /readyz and the log name them."""
WATCH_SECONDS = 0.2
"""The pause between two looks for promotions."""
RETRY_SECONDS = 1.0
"""The pause after a dependency was unavailable, and while the newest batch has no report."""
log = structlog.get_logger()


@dataclass
class ChampionFollower:
    """Looks at the champion after each promotion, and after the start: a next batch may not come for long.

    The batches that closed during a training are no reason for another one in their own reports, which are of the
    champion before. Of several workers only the active one does this, to which Kafka has assigned the batches.
    """

    _dataset: Dataset
    _event_log: EventLog
    _models: Models
    _manifests: Manifests
    _keeper: LevelKeeper | None
    _transactions: Transactions[DriftUnitOfWork]
    _publisher: OutboxPublisher
    _health: ServiceHealth
    _clock: Clock
    _is_active: Callable[[], bool]
    _promoted: bool = True
    """Whether the champion may be another one than at the last look."""

    async def run(self) -> None:
        """Follow the topic `models` until the service stops."""
        follow = partial(tail, [topic(self._dataset.name, "models")], self._event_log, self._health, self.on_records)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._health.keep_running(PROMOTIONS, follow))
            group.create_task(self._health.keep_running(CHAMPION, self._watch))

    def on_records(self, records: Sequence[Record]) -> None:
        """Note promotions."""
        promotions = (header_texts(record).get("ce_type") == ModelPromoted.TYPE for record in records)
        self._promoted = self._promoted or any(promotions)

    async def handle_due(self) -> bool:
        """Let the champion follow, and request a training if one is due. Nothing without a promotion.

        Returns False if the newest batch has no report yet. That report may request the training itself.

        Raises:
            Retry: a dependency is unavailable. The champion stays due.
            StateLost: the tables may be behind the topics.
        """
        if not self._promoted:
            return True
        self._promoted, done = False, False
        try:
            champion = await asyncio.to_thread(self._models.champion)
            if self._keeper:
                await self._keeper.follow_newest(champion)
            done = await self._request_training(champion)
        finally:
            self._promoted = self._promoted or not done
        return done

    async def _watch(self) -> None:
        while await self._health.wait(WATCH_SECONDS):
            if not self._is_active():
                continue
            try:
                done = await self.handle_due()
            except (Retry, StateLost) as error:
                log.info("the champion waits", reason=str(error))
                done = False
            if not done:
                await self._health.wait(RETRY_SECONDS)

    async def _request_training(self, champion: Model | None) -> bool:
        """Request a training if there is enough data for it. Returns False if the newest batch has no report yet."""
        newest = await self._manifests.last()
        if champion is None or newest is None:
            return True
        place = newest.epoch, newest.number

        def read(uow: DriftUnitOfWork) -> tuple[bool, Growth | None]:
            return uow.reports.exists(*place), uow.reports.growth(newest.epoch, newest.number + 1, champion.number)

        reported, known = await self._transactions.run(read)
        if not reported:
            return False
        grown = await GrowthMeter(self._dataset, self._manifests).growth(newest, champion, known)
        if grown and growth.is_due(grown, self._dataset.training.growth):
            requested = growth.requested(grown)
            request = encode(topic(self._dataset.name, "retrain"), self._request(newest, grown))

            def store(uow: DriftUnitOfWork) -> None:
                uow.reports.set_growth(*place, requested)
                uow.outbox.append(request)

            await self._transactions.run(store)
            fault_point("drift.stored")
            await self._publisher.publish_pending()
            log.info("training requested", batch=newest.batch, reason=growth.reason(grown))
        return True

    def _request(self, newest: BatchClosed, grown: Growth) -> Event:
        """The request. The id is that of the report's own one: a batch causes one training at most."""
        payload = RetrainRequested(
            dataset=newest.dataset,
            epoch=newest.epoch,
            number=newest.number,
            reason=growth.reason(grown),
            first=False,
            batches=[newest.batch],
        )
        cause, trace = f"{newest.batch}/closed", trace_of(newest.batch)
        return Event(f"{newest.batch}/retrain", SERVICE, self._clock(), payload, cause=cause, trace=trace)
