"""Drift's life: catch up on what has no verdict, then let Faust hand over batches, and watch that it does."""

import asyncio
import time
from functools import partial

import faust

from veleta.errors import Retry, Stop
from veleta.events.envelope import Record
from veleta.life import Life
from veleta.loop import Intake, Relay, sound_marks, take
from veleta.ports import EventLog, Ledger

WATCH_SECONDS = 5.0


class Worker:
    """Runs a Faust app within the service's event loop."""

    def __init__(
        self,
        app: faust.App,
        topic: str,
        log: EventLog,
        ledger: Ledger,
        relay: Relay,
        intake: Intake,
        life: Life,
        idle_limit: float,
    ) -> None:
        self._app = app
        self._topic = topic
        self._log = log
        self._ledger = ledger
        self._relay = relay
        self._intake = intake
        self._life = life
        self._idle_limit = idle_limit

    async def run(self) -> None:
        """Work until the service stops.

        Raises:
            Stop: Faust crashed, or batches wait and it hands none over; the process is to be started again.
        """
        await self._life.patiently(self._relay.flush)
        while await self._catch_up():
            pass
        await self._life.patiently(partial(asyncio.to_thread, self._log.bounds, self._topic))
        await self._app.start()
        self._life.started()
        self._life.busy("waiting for batches")
        try:
            await self._watch()
        finally:
            await self._app.stop()

    async def _catch_up(self) -> int:
        """Assess what was published since this service's own mark; Faust goes by the group's offset."""
        behind = await self._life.patiently(self._behind)
        for partition, (first, end) in behind.items():
            for record in await self._life.patiently(partial(asyncio.to_thread, self._read, partition, first, end)):
                if not await take(self._intake, record, self._life):
                    return 0
        return len(behind)

    def _read(self, partition: int, first: int, end: int) -> list[Record]:
        return list(self._log.read(self._topic, partition, first, end - 1))

    async def _behind(self) -> dict[int, tuple[int, int]]:
        """By partition, the offsets from this service's mark to the end, where there are any."""
        marks = await sound_marks([self._topic], self._log, self._ledger)
        bounds = await asyncio.to_thread(self._log.bounds, self._topic)
        ranges = {p: (max(first, marks.get((self._topic, p), 0)), end) for p, (first, end) in bounds.items()}
        return {p: (first, end) for p, (first, end) in ranges.items() if first < end}

    async def _watch(self) -> None:
        """Faust has been seen to go silent without an error (faust-streaming#175, #523)."""
        seen, since = await self._life.patiently(self._behind), time.monotonic()
        while await self._life.pause(WATCH_SECONDS):
            try:
                behind = await self._behind()
            except Retry as away:
                self._life.lacks(away.what, str(away))
                behind = {}
            else:
                self._life.found("kafka")
                self._life.found("mysql")
            if not behind or behind != seen or self._life.halted:
                seen, since = behind, time.monotonic()
            if self._app.crashed:
                raise Stop(f"Faust crashed: {self._app.crash_reason!r}")
            if time.monotonic() - since > self._idle_limit:
                raise Stop(f"batches wait and none came for {self._idle_limit:.0f} s")
