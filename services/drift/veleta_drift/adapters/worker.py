"""Drift's life: catch up on what has no verdict, then let Faust hand over batches, and watch that it does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic

import faust

from veleta.errors import Retry, StateLost, Stop
from veleta.events.envelope import Record
from veleta.ports import Checkpoints, EventLog, Transactions, U
from veleta.processing.checkpoints import validated_checkpoints
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth, watch_dependency

WATCH_SECONDS = 5.0


class Worker(Generic[U]):
    """Runs a Faust app within the service's event loop."""

    def __init__(
        self,
        app: faust.App,
        topic: str,
        log: EventLog,
        transactions: Transactions[U],
        publisher: OutboxPublisher,
        processor: RecordProcessor[U],
        health: ServiceHealth,
        restore: Callable[[], Awaitable[None]],
        idle_limit: float,
    ) -> None:
        """`restore` fills tables that were wiped from the topic of reports; it raises Retry."""
        self._app = app
        self._topic = topic
        self._log = log
        self._transactions = transactions
        self._publisher = publisher
        self._processor = processor
        self._health = health
        self._restore = restore
        self._idle_limit = idle_limit
        self._lost: StateLost | None = None

    async def run(self) -> None:
        """Work until the service stops.

        Raises:
            Stop: Faust crashed, batches wait and it hands none over, or the database or the topic lost what was
                there; the process is to be started again.
        """
        bounds = partial(asyncio.to_thread, self._log.bounds, self._topic)
        watching = [
            asyncio.create_task(watch_dependency("kafka", bounds, self._health)),
            asyncio.create_task(watch_dependency("mysql", self._load_checkpoints, self._health)),
        ]
        try:
            await self._work()
        except StateLost as error:
            raise Stop(str(error)) from error
        finally:
            for task in watching:
                task.cancel()

    async def assess(self, record: Record) -> bool:
        """Bring a record from Faust to its end; False when it is not, and the process is about to end."""
        try:
            done = await self._processor.process_or_stop_consuming(record)
        except StateLost as error:
            self._lost = error
            while await self._health.sleep(WATCH_SECONDS):
                pass
            return False
        self._health.set_activity("waiting for batches")
        return done

    async def _load_checkpoints(self) -> Checkpoints:
        return await self._transactions.run(lambda uow: uow.checkpoints.load_all())

    async def _work(self) -> None:
        await self._health.retry_until_available(self._restore)
        await self._health.retry_until_available(self._publisher.publish_pending)
        while await self._catch_up():
            pass
        if self._health.stopping.is_set():
            return
        await self._health.retry_until_available(partial(asyncio.to_thread, self._log.bounds, self._topic))
        await self._app.start()
        self._health.mark_started()
        self._health.set_activity("waiting for batches")
        try:
            await self._watch()
        finally:
            await self._app.stop()

    async def _catch_up(self) -> int:
        """Assess what was published since this service's own mark; Faust goes by the group's offset.

        How much there was; 0 when the service stops meanwhile.
        """
        behind = _behind(await self._health.retry_until_available(self._standing))
        for partition, (first, end) in behind.items():
            for record in await self._health.retry_until_available(
                partial(asyncio.to_thread, self._read, partition, first, end)
            ):
                if self._health.stopping.is_set() or not await self._processor.process_or_stop_consuming(record):
                    return 0
        return len(behind)

    def _read(self, partition: int, first: int, end: int) -> list[Record]:
        return list(self._log.read(self._topic, partition, first, end - 1))

    async def _standing(self) -> dict[int, tuple[int, int]]:
        """By partition, this service's mark and the end."""
        marks = await validated_checkpoints([self._topic], self._log, self._transactions)
        bounds = await asyncio.to_thread(self._log.bounds, self._topic)
        return {p: (max(first, marks.get((self._topic, p), 0)), end) for p, (first, end) in bounds.items()}

    async def _watch(self) -> None:
        """Faust has been seen to go silent without an error (faust-streaming#175, #523)."""
        seen, since = await self._health.retry_until_available(self._standing), time.monotonic()
        while await self._health.sleep(WATCH_SECONDS):
            if self._lost:
                raise self._lost
            try:
                standing = await self._standing()
            except Retry:
                since = time.monotonic()
                continue
            if any(mark < seen.get(partition, (0, 0))[0] for partition, (mark, _) in standing.items()):
                raise StateLost("the database lost checkpoints")
            if not _behind(standing) or _marks(standing) != _marks(seen) or self._health.stop_reason:
                seen, since = standing, time.monotonic()
            if self._app.crashed:
                raise Stop(f"Faust crashed: {self._app.crash_reason!r}")
            if time.monotonic() - since > self._idle_limit:
                raise Stop(f"batches wait and none came for {self._idle_limit:.0f} s")


def _marks(standing: dict[int, tuple[int, int]]) -> dict[int, int]:
    """How far this service came, by partition."""
    return {partition: mark for partition, (mark, _) in standing.items()}


def _behind(standing: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Those partitions where something waits."""
    return {partition: (mark, end) for partition, (mark, end) in standing.items() if mark < end}
