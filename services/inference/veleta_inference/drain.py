"""The drain: copies a journal to where its lines belong, such as a table of MySQL."""

import hashlib
import math
import time
from collections.abc import Sequence

import orjson
import prometheus_client

from veleta.errors import Reject, Retry
from veleta.events.envelope import Message
from veleta.faults import fault_point
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetter, DeadLetterOutbox
from veleta_inference.domain.journal_lines import Portion
from veleta_inference.ports import JournalReader, Sink

SET_ASIDE = prometheus_client.Counter(
    "veleta_journal_lines_set_aside", "lines of a journal that are damaged or were refused: dead letters", ["table"]
)
IDLE_SECONDS = 0.5
"""The pause when the journal is empty. Then many requests need few statements."""
RETRY_SECONDS = 1.0
"""The pause before the next attempt when the database is unavailable."""
STOP_SECONDS = 5.0
"""How long a service that stops continues to insert. The next process inserts the rest."""
DAMAGED = Reject("the line of the journal is damaged", "its checksum does not match")


class Drain:
    """Inserts the lines of a journal into a sink. Lines that are damaged or refused become dead letters."""

    def __init__(self, journal: JournalReader, sink: Sink, letters: DeadLetterOutbox, health: ServiceHealth) -> None:
        self._journal = journal
        self._sink = sink
        self._letters = letters
        self._health = health
        self._set_aside = 0

    async def run(self) -> None:
        """Insert lines until the service stops, and once more then. Those of processes that have ended come last."""
        running, seconds = True, IDLE_SECONDS
        while running:
            running = await self._health.sleep(seconds)
            try:
                await self._empty(math.inf if running else STOP_SECONDS)
                if running:
                    self._journal.adopt()
                seconds = IDLE_SECONDS
            except Retry as error:
                self._health.set_unavailable(error.dependency, str(error))
                seconds = RETRY_SECONDS

    async def _empty(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and (portion := self._journal.read()).size:
            await self._copy(portion)
            self._journal.acknowledge(portion)
            self._health.heartbeat()
            self._health.set_available(self._sink.dependency)

    async def _copy(self, portion: Portion) -> None:
        """Insert the lines of a portion, and store dead letters of the others. It may be repeated."""
        refused = await self._insert(portion.lines)
        letters = [self._letter(DAMAGED, line) for line in portion.damaged] + refused
        if letters:
            fault_point("inference.refused")
            await self._letters.store(letters)
            self._report(len(letters))

    async def _insert(self, lines: Sequence[bytes]) -> list[DeadLetter]:
        """Insert lines. If the sink refuses one, halve them until it is found. Returns the refused ones."""
        if not lines:
            return []
        try:
            await self._sink.insert(lines)
        except Reject as error:
            if len(lines) == 1:
                return [self._letter(error, lines[0])]
            middle = len(lines) // 2
            return await self._insert(lines[:middle]) + await self._insert(lines[middle:])
        return []

    def _letter(self, error: Reject, line: bytes) -> DeadLetter:
        return error, error.reason, Message(self._sink.name, _key(line), (), line)

    def _report(self, count: int) -> None:
        SET_ASIDE.labels(self._sink.name).inc(count)
        self._set_aside += count
        warning = f"lines for {self._sink.name} set aside since the start: {self._set_aside} (`make dead` shows them)"
        self._health.set_warning(self._sink.name, warning)


def _key(line: bytes) -> str:
    """The id of a request, or the digest of a line that cannot be read."""
    try:
        return str(orjson.loads(line)["request_id"])
    except (ValueError, TypeError, LookupError):
        return hashlib.sha256(line).hexdigest()
