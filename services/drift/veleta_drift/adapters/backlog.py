"""The part of a topic that a service has not yet processed."""

import asyncio
from dataclasses import dataclass

from veleta.events.envelope import Record
from veleta.ports import Checkpoints, EventLog, Transactions, UnitOfWork
from veleta.processing.checkpoints import validated_checkpoints


@dataclass(frozen=True)
class Position:
    """`checkpoint` is the next offset of a partition to process, `end` the next one that will be written."""

    checkpoint: int
    end: int


Positions = dict[int, Position]
"""By partition."""


class Backlog:
    """Compares the checkpoints of a service with the end of one topic. Each method raises Retry."""

    def __init__(self, topic: str, log: EventLog, transactions: Transactions[UnitOfWork]) -> None:
        self._topic = topic
        self._log = log
        self._transactions = transactions

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """By partition: the first offset, and the next one that will be written."""
        return await asyncio.to_thread(self._log.bounds, self._topic)

    async def checkpoints(self) -> Checkpoints:
        """The checkpoints of the service."""
        return await self._transactions.run(lambda uow: uow.checkpoints.load_all())

    async def positions(self) -> Positions:
        """How far each partition is processed."""
        checkpoints = await validated_checkpoints([self._topic], self._log, self._transactions)
        return {
            partition: Position(max(first, checkpoints.get((self._topic, partition), 0)), end)
            for partition, (first, end) in (await self.bounds()).items()
        }

    async def records(self) -> list[Record]:
        """All records that are not yet processed."""
        return [
            record
            for partition, position in (await self.positions()).items()
            for record in await asyncio.to_thread(self._read, partition, position)
        ]

    def _read(self, partition: int, position: Position) -> list[Record]:
        return list(self._log.read(self._topic, partition, position.checkpoint, position.end - 1))
