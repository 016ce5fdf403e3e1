"""The drain: copies the journal into MySQL."""

import math
import time
from collections.abc import Sequence

import orjson
import prometheus_client

from veleta.errors import Reject, Retry
from veleta.events.envelope import Message
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.ports import JournalReader, RequestTable

WRITTEN = prometheus_client.Counter("veleta_requests_written", "requests that were inserted into MySQL", ["table"])
IDLE_SECONDS = 0.5
"""The pause when the journal is empty. Then many requests need few statements."""
RETRY_SECONDS = 1.0
"""The pause before the next attempt when the database is unavailable."""
STOP_SECONDS = 5.0
"""How long a service that stops continues to insert. The next process inserts the rest."""


class Drain:
    """Inserts the lines of a journal into a table."""

    def __init__(
        self, journal: JournalReader, table: RequestTable, letters: DeadLetterPublisher, health: ServiceHealth
    ) -> None:
        self._journal = journal
        self._table = table
        self._letters = letters
        self._health = health

    async def run(self) -> None:
        """Insert lines until the service stops, and once more then."""
        running, seconds = True, IDLE_SECONDS
        while running:
            running = await self._health.sleep(seconds)
            try:
                await self._empty(math.inf if running else STOP_SECONDS)
                seconds = IDLE_SECONDS
            except Retry as error:
                self._health.set_unavailable(error.dependency, str(error))
                seconds = RETRY_SECONDS

    async def _empty(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and (lines := self._journal.read()):
            await self._insert(lines)
            self._journal.acknowledge(lines)
            self._health.heartbeat()
            self._health.set_available("mysql")

    async def _insert(self, lines: Sequence[bytes]) -> None:
        """Insert lines. If the database refuses a row, halve them until its line is found: it is dead-lettered."""
        try:
            await self._table.insert(lines)
        except Reject as error:
            if len(lines) == 1:
                self._dead_letter(lines[0], error)
                return
            middle = len(lines) // 2
            await self._insert(lines[:middle])
            await self._insert(lines[middle:])
        else:
            WRITTEN.labels(self._table.name).inc(len(lines))

    def _dead_letter(self, line: bytes, error: Reject) -> None:
        try:
            key = str(orjson.loads(line)["request_id"])
        except (ValueError, TypeError, LookupError):
            key = ""
        self._letters.send(error, error.reason, Message(self._table.name, key, (), line))
