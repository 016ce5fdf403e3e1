"""The drain: what the journal holds reaches MySQL in groups, each request once."""

import math
import time
from collections.abc import Sequence

import orjson
import prometheus_client

from veleta.errors import Reject, Retry
from veleta.events.envelope import Message
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.ports import Kept, Table

WRITTEN = prometheus_client.Counter("veleta_requests_written", "requests that were written to MySQL", ["table"])
GATHER_SECONDS = 0.5
"""The pause when nothing is left: many requests come as few statements, and answers have the machine meanwhile."""
AWAY_SECONDS = 1.0
"""How soon the database is tried again after it was away."""
LAST_SECONDS = 5.0
"""How long a service that stops goes on writing; the rest stays in the journal for the next process."""


class Drain:
    """Empties a journal into a table, for ever."""

    def __init__(self, journal: Kept, table: Table, letters: DeadLetterPublisher, health: ServiceHealth) -> None:
        self._journal = journal
        self._table = table
        self._letters = letters
        self._health = health

    async def run(self) -> None:
        """Write what comes until the service stops, and then once more."""
        going_on, seconds = True, GATHER_SECONDS
        while going_on:
            going_on = await self._health.sleep(seconds)
            try:
                await self._empty(LAST_SECONDS if not going_on else math.inf)
                seconds = GATHER_SECONDS
            except Retry as away:
                self._health.set_unavailable(away.dependency, str(away))
                seconds = AWAY_SECONDS

    async def _empty(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and (lines := self._journal.read()):
            await self._write(lines)
            self._journal.forget(lines)
            self._health.set_available("mysql")

    async def _write(self, lines: Sequence[bytes]) -> None:
        """Write a group; one that holds a row which the database refuses is halved until that row is found."""
        try:
            await self._table.insert(lines)
        except Reject as error:
            if len(lines) == 1:
                self._refused(lines[0], error)
                return
            middle = len(lines) // 2
            await self._write(lines[:middle])
            await self._write(lines[middle:])
        else:
            WRITTEN.labels(self._table.name).inc(len(lines))

    def _refused(self, line: bytes, error: Reject) -> None:
        try:
            key = str(orjson.loads(line)["request_id"])
        except (ValueError, TypeError, LookupError):
            key = ""
        self._letters.send(error, error.reason, Message(self._table.name, key, (), line))
