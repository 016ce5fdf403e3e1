"""Runs drift: processes the backlog, starts Faust, and watches that Faust passes on every batch."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import faust

from veleta.errors import Retry, StateLost, Stop
from veleta.events.envelope import Record
from veleta.service.health import ServiceHealth, watch_dependency
from veleta_drift.adapters.backlog import Backlog

WATCH_SECONDS = 5.0
"""The pause between two checks of Faust."""
Checks = Mapping[str, Callable[[], Awaitable[object]]]


class FaustWorker:
    """Runs a Faust app in the service's event loop."""

    def __init__(
        self,
        app: faust.App,
        backlog: Backlog,
        process: Callable[[Record], Awaitable[bool]],
        before_start: Callable[[], Awaitable[None]],
        health: ServiceHealth,
        idle_limit: float,
        checks: Checks,
    ) -> None:
        """`process` returns False if the service is stopping, and raises StateLost. `before_start` raises Retry.

        `idle_limit` is in seconds: how long batches may wait while none is in progress. `checks` are those
        for /readyz, by dependency.
        """
        self._app = app
        self._backlog = backlog
        self._process = process
        self._before_start = before_start
        self._health = health
        self._idle_limit = idle_limit
        self._checks = checks
        self._failure: Exception | None = None
        self._processing = False

    async def run(self) -> None:
        """Work until the service stops.

        Raises:
            Stop: Faust crashed, or passes on no batch although batches wait, or the database or the topic lost state.
                The process must be restarted. So it must after any other error of `process`, which is raised as it is.
        """
        watchers = [
            asyncio.create_task(watch_dependency(dependency, check, self._health))
            for dependency, check in self._checks.items()
        ]
        try:
            await self._health.supervise("batches", self._work())
        except StateLost as error:
            raise Stop(str(error)) from error
        finally:
            for task in watchers:
                task.cancel()

    async def process(self, record: Record) -> bool:
        """Process a record from Faust. Returns False if it was not processed and the process is about to end.

        It raises nothing, because Faust acknowledges an event whose agent raised, and passes on the next one.
        """
        self._processing = True
        try:
            processed = await self._handle(record)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._failure = error
            while await self._health.sleep(WATCH_SECONDS):
                pass
            return False
        finally:
            self._processing = False
        self._health.set_activity("waiting for batches")
        return processed

    def is_active(self) -> bool:
        """Whether Kafka has assigned the batches to this worker."""
        return self._app.started and bool(self._app.consumer.assignment())

    async def _work(self) -> None:
        await self._health.retry_until_available(self._before_start)
        self._health.mark_started()  # a batch of the backlog may take long
        await self._process_backlog()
        if self._health.stopping.is_set():
            return
        await self._health.retry_until_available(self._backlog.bounds)
        await self._app.start()
        self._health.set_activity("waiting for batches")
        try:
            await self._watch()
        finally:
            await self._app.stop()

    async def _process_backlog(self) -> None:
        """Process all records from this service's checkpoints on. Faust starts from the group's committed offsets."""
        while records := await self._health.retry_until_available(self._backlog.records):
            for record in records:
                if self._health.stopping.is_set() or not await self._handle(record):
                    return

    async def _handle(self, record: Record) -> bool:
        self._health.set_activity(f"handling {record.topic} {record.offset}")
        return await self._process(record)

    async def _watch(self) -> None:
        """Faust sometimes stops without an error (faust-streaming#175, #523)."""
        last, last_change = await self._health.retry_until_available(self._backlog.progress), time.monotonic()
        while await self._health.wait(WATCH_SECONDS):
            if self._failure:
                raise self._failure
            try:
                progress = await self._backlog.progress()
            except Retry:
                last_change = time.monotonic()
                self._health.heartbeat()
                continue
            if progress.is_behind(last):
                raise StateLost("the database lost checkpoints, or the topic was recreated")
            if progress.complete or progress.checkpoints != last.checkpoints or self._health.stop_reason:
                last, last_change = progress, time.monotonic()
                self._health.heartbeat()
            if self._processing:  # a cluster may need long for a batch, whose own heartbeats count
                last_change = time.monotonic()
            if self._app.crashed:
                raise Stop(f"Faust crashed: {self._app.crash_reason!r}")
            if time.monotonic() - last_change > self._idle_limit:
                raise Stop(f"batches wait, and Faust passed on none for {self._idle_limit:.0f} s")
