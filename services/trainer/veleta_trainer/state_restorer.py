"""Restores the trainer's tables from its topics, so that no training and no sequence number is repeated."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from veleta.errors import Retry, StateLost
from veleta.events.catalogue import IntervalsAdjusted
from veleta.events.envelope import Event
from veleta.ports import EventLog, T, Transactions
from veleta.processing.replay import replay
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_trainer.domain.interval_level import IntervalLevelRow
from veleta_trainer.domain.replay import ReplayedState, request_id
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import TrainerUnitOfWork

log = structlog.get_logger()


@dataclass
class StateRestorer:
    """Compares the tables with the topics before this process may hold the lease, and after they lost state."""

    _dataset: str
    _event_log: EventLog
    _transactions: FencedTransactions
    _health: ServiceHealth

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call. If it raises StateLost, restore the tables and call again. Raises Retry."""
        try:
            return await call()
        except StateLost as error:
            log.warning("restoring", reason=str(error))
            self._health.set_activity("comparing the tables with the topics")
            await self._transactions.restore(self._restore)
        try:
            return await call()
        except StateLost as error:
            raise Retry("mysql", error) from error

    async def _restore(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """Apply what the tables do not have yet: first requests, then trainings, then decisions."""
        requests = topic(self._dataset, "retrain")
        await replay(requests, self._event_log, transactions, _apply, save=False)
        for name in own_topics(self._dataset):
            await replay(name, self._event_log, transactions, _apply)


def own_topics(dataset: str) -> list[str]:
    """The topics with checkpoints of the restorer. That in `retrain` belongs to the consumer."""
    return [topic(dataset, "training"), topic(dataset, "models")]


def _apply(events: Sequence[Event], uow: TrainerUnitOfWork) -> None:
    states = uow.trainings.states({request_id(event) for event in events})
    state = ReplayedState.of(states, uow.promotions.last_seq())
    for event in events:
        state.apply(event)
    uow.trainings.restore(state.trainings.values())
    uow.promotions.restore(state.promotions.values())
    for version, measures in state.evaluations.items():
        uow.evaluations.replace(version, measures)
    for event in events:
        if isinstance(event.payload, IntervalsAdjusted):
            uow.interval_levels.save(IntervalLevelRow.of_event(event.payload, event.time))
