"""The part of a topic that a service has not yet processed."""

import asyncio
from dataclasses import dataclass

from veleta.events.envelope import Record
from veleta.ports import Checkpoints, EventLog, Transactions, UnitOfWork
from veleta.processing.checkpoints import validated_checkpoints

MAX_RECORDS = 500
"""Records that are read together: after a wipe the whole topic waits."""


@dataclass(frozen=True)
class Progress:
    """By partition: the next offset to process, and the next one that will be written."""

    checkpoints: dict[int, int]
    ends: dict[int, int]

    @property
    def complete(self) -> bool:
        """Whether no record waits."""
        return all(self.checkpoints[partition] >= end for partition, end in self.ends.items())

    def is_behind(self, earlier: "Progress") -> bool:
        """Whether a checkpoint is lower than before."""
        return any(offset < earlier.checkpoints.get(partition, 0) for partition, offset in self.checkpoints.items())


class Backlog:
    """Compares the checkpoints of a service with one topic. Each method raises Retry."""

    def __init__(self, topic: str, event_log: EventLog, transactions: Transactions[UnitOfWork]) -> None:
        self._topic = topic
        self._event_log = event_log
        self._transactions = transactions

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """By partition: the first offset, and the next one that will be written."""
        return await asyncio.to_thread(self._event_log.bounds, self._topic)

    async def checkpoints(self) -> Checkpoints:
        """The checkpoints of the service."""
        return await self._transactions.run(lambda uow: uow.checkpoints.load_all())

    async def progress(self) -> Progress:
        """How far the topic is processed."""
        saved = await validated_checkpoints([self._topic], self._event_log, self._transactions)
        bounds = await self.bounds()
        starts = {
            partition: max(first, saved.get((self._topic, partition), 0)) for partition, (first, _) in bounds.items()
        }
        return Progress(starts, {partition: end for partition, (_, end) in bounds.items()})

    async def records(self) -> list[Record]:
        """The next records that are not yet processed, at most MAX_RECORDS of a partition."""
        progress = await self.progress()
        return await asyncio.to_thread(self._read, progress)

    def _read(self, progress: Progress) -> list[Record]:
        starts = progress.checkpoints
        ends = {p: min(end, starts[p] + MAX_RECORDS) for p, end in progress.ends.items()}
        return [r for p, end in ends.items() for r in self._event_log.read(self._topic, p, starts[p], end - 1)]
