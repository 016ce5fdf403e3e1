"""Fills the trainer's tables from its topics, so that nothing is trained twice and no sequence goes back."""

import asyncio
from collections.abc import Callable

from veleta.batches import history
from veleta.ports import EventLog, Ledger, Work
from veleta.topics import TopicName
from veleta_trainer.domain.replay import Told, replay
from veleta_trainer.ports import Lease, Trainings

TOPICS: tuple[TopicName, ...] = ("retrain", "training", "models")
"""In the order in which they are read: what is asked, what became of it, what was decided."""


class Restoring:
    """Compares the tables with the topics; after that the lease may be held."""

    def __init__(
        self, dataset: str, log: EventLog, ledger: Ledger, lease: Lease, trainings: Callable[[Work], Trainings]
    ) -> None:
        self._dataset = dataset
        self._log = log
        self._ledger = ledger
        self._lease = lease
        self._trainings = trainings

    async def restore(self) -> None:
        """Add what is missing, bring on what is behind. Raises Retry."""
        told = await asyncio.to_thread(self._told)
        await self._ledger.run(lambda work: self._trainings(work).restore(told))
        self._lease.compared()

    def _told(self) -> Told:
        return replay(event for name in TOPICS for event in history(self._log, self._dataset, name))
