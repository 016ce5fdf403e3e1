"""Restores the trainer's tables from its topics, so that no training and no sequence number is repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from veleta.batches import read_events
from veleta.errors import Retry, StateLost
from veleta.ports import EventLog, T
from veleta.service.health import ServiceHealth
from veleta.topics import TopicName
from veleta_trainer.domain.replay import ReplayedState, replay
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import TrainerUnitOfWork

TOPICS: tuple[TopicName, ...] = ("retrain", "training", "models")  # in the order of ReplayedState.apply
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
            await self._restore()
        try:
            return await call()
        except StateLost as error:
            raise Retry("mysql", error) from error

    async def _restore(self) -> None:
        state = await asyncio.to_thread(self._replay)

        def transaction(uow: TrainerUnitOfWork) -> None:
            uow.trainings.restore(state.trainings.values())
            uow.promotions.restore(state.promotions.values())

        await self._transactions.restore(transaction)

    def _replay(self) -> ReplayedState:
        return replay(event for name in TOPICS for event in read_events(self._event_log, self._dataset, name))
