"""Follows the levels of the market in `levels`. A start reads the past ones first, so that it serves the same level."""

import asyncio
from functools import partial

from veleta.events.envelope import Record
from veleta.ports import EventLog
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta_inference.model_swapper import ModelSwapper

PORTION = 500
"""Records that are read at once."""
MAX_RECORDS = 10_000
"""At most this many past records are read: some hundred batches a year are decades."""


class LevelFollower:
    """Passes the records of `levels` to the swapper, in order: past ones in portions, and new ones as they arrive."""

    def __init__(self, topic: str, event_log: EventLog, health: ServiceHealth, swapper: ModelSwapper) -> None:
        self._topic = topic
        self._log = event_log
        self._health = health
        self._swapper = swapper

    async def run(self) -> None:
        """Follow the topic until the service stops."""
        bounds = await self._health.retry_until_available(partial(asyncio.to_thread, self._log.bounds, self._topic))
        for partition, (first, end) in bounds.items():
            for start in range(max(first, end - MAX_RECORDS), end, PORTION):
                read = partial(asyncio.to_thread, self._read, partition, start, min(start + PORTION, end) - 1)
                self._swapper.handle(await self._health.retry_until_available(read))
        self._swapper.levels_are_read()
        ends = {(self._topic, partition): end for partition, (_, end) in bounds.items()}
        await tail([self._topic], self._log, self._health, self._swapper.handle, ends)

    def _read(self, partition: int, first: int, last: int) -> list[Record]:
        return list(self._log.read(self._topic, partition, first, last))
