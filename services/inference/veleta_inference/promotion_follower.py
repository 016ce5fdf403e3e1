"""Follows the promotions in `models`, so that a start reads the same number of records after any history."""

import asyncio
from functools import partial

from veleta.events.envelope import Record
from veleta.ports import EventLog
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta_inference.model_swapper import ModelSwapper

PORTION = 500
"""Records that are read back at once."""
MAX_RECORDS = 10_000
"""At most this many records are read back. The causes of an older promotion are not shown."""


class PromotionFollower:
    """Passes the records of `models` to the swapper: new ones as they arrive, and old ones in portions.

    Old records are read back from the end until the swapper serves a promotion whose event it knows.
    """

    def __init__(self, topic: str, event_log: EventLog, health: ServiceHealth, swapper: ModelSwapper) -> None:
        self._topic = topic
        self._log = event_log
        self._health = health
        self._swapper = swapper

    async def run(self) -> None:
        """Follow the topic until the service stops."""
        bounds = await self._health.retry_until_available(partial(asyncio.to_thread, self._log.bounds, self._topic))
        ends = {(self._topic, partition): end for partition, (_, end) in bounds.items()}
        async with asyncio.TaskGroup() as tasks:
            reading_back = [tasks.create_task(self._read_back(partition, *of)) for partition, of in bounds.items()]
            await tail([self._topic], self._log, self._health, self._swapper.handle, ends)
            for task in reading_back:
                task.cancel()

    async def _read_back(self, partition: int, first: int, end: int) -> None:
        first = max(first, end - MAX_RECORDS)
        while end > first and not self._swapper.explained:
            start = max(first, end - PORTION)
            read = partial(asyncio.to_thread, self._read, partition, start, end - 1)
            self._swapper.handle(await self._health.retry_until_available(read))
            await self._swapper.reconciled()
            end = start

    def _read(self, partition: int, first: int, last: int) -> list[Record]:
        return list(self._log.read(self._topic, partition, first, last))
