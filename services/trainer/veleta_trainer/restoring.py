"""Fills the trainer's tables from its topics, so that nothing is trained twice and no sequence goes back."""

import asyncio

from veleta.batches import read_events
from veleta.ports import EventLog, Transactions
from veleta.topics import TopicName
from veleta_trainer.domain.replay import Told, replay
from veleta_trainer.lease import Lease
from veleta_trainer.ports import TrainerUnitOfWork

TOPICS: tuple[TopicName, ...] = ("retrain", "training", "models")
"""In the order in which they are read: what is asked, what became of it, what was decided."""


class Restoring:
    """Compares the tables with the topics; after that the lease may be held."""

    def __init__(
        self,
        dataset: str,
        log: EventLog,
        transactions: Transactions[TrainerUnitOfWork],
        lease: Lease,
    ) -> None:
        self._dataset = dataset
        self._log = log
        self._transactions = transactions
        self._lease = lease

    async def restore(self) -> None:
        """Add what is missing, bring on what is behind. Raises Retry."""
        told = await asyncio.to_thread(self._told)
        await self._transactions.run(lambda uow: uow.trainings.restore(told))
        self._lease.tables_compared()

    def _told(self) -> Told:
        return replay(event for name in TOPICS for event in read_events(self._log, self._dataset, name))
