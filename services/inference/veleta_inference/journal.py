"""The journal: requests reach MySQL in groups, and only then are they answered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
import prometheus_client
import structlog

from veleta.errors import Reject, Retry
from veleta.events.envelope import Message
from veleta.life import Life
from veleta_inference.deadletters import DeadLetters

log = structlog.get_logger()
WRITTEN = prometheus_client.Counter("veleta_requests_written", "requests that were written to MySQL")
WAITING = prometheus_client.Gauge("veleta_requests_waiting", "requests that wait to be written")

KEEP_SECONDS = 2.0
"""How long a client waits for its request to be written, and a transaction for the database."""
SqlRow = dict[str, Any]


class Table(Protocol):
    """The table of requests."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    async def insert(self, rows: Sequence[SqlRow]) -> None:
        """Write all rows in one transaction, or none.

        Raises:
            Retry: the database is away.
            Reject: it refuses one of the rows.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A request to be written: a row for each of its items. `written` is done when it is, or says why it is not."""

    request_id: str
    rows: Sequence[SqlRow]
    written: asyncio.Future[None] = field(default_factory=asyncio.Future)


class Journal:
    """One queue, one writer. The group grows by itself: while one is written, the next one gathers."""

    def __init__(self, table: Table, letters: DeadLetters, life: Life, queue_limit: int, group_rows: int) -> None:
        self._table = table
        self._letters = letters
        self._life = life
        self._group_rows = group_rows
        self._queue: asyncio.Queue[Entry] = asyncio.Queue(queue_limit)

    async def keep(self, request_id: str, rows: Sequence[SqlRow]) -> None:
        """Return when the request is in the table. A caller that goes away does not keep it from being written.

        Raises:
            Retry: the queue is full, or the database is away: the request is not in the table (if the database fell
                silent in the middle of a transaction, nobody knows).
            Reject: the database refuses the request, which is a dead letter now.
        """
        entry = Entry(request_id, rows)
        try:
            self._queue.put_nowait(entry)
        except asyncio.QueueFull:
            raise Retry("journal", f"{self._queue.maxsize} requests wait to be written") from None
        WAITING.set(self._queue.qsize())
        try:
            await asyncio.wait_for(asyncio.shield(entry.written), KEEP_SECONDS)
        except TimeoutError:
            entry.written.cancel()
            raise Retry("mysql", f"the request could not be written within {KEEP_SECONDS:g} s") from None

    async def write(self) -> None:
        """Write what comes, for ever."""
        while True:
            taken = self._group(await self._queue.get())
            await self._write([entry for entry in taken if not entry.written.done()])
            for _ in taken:
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until nothing waits to be written."""
        await self._queue.join()

    def _group(self, first: Entry) -> list[Entry]:
        """All that wait, up to the size of a group."""
        group, rows = [first], len(first.rows)
        while rows < self._group_rows and not self._queue.empty():
            group.append(self._queue.get_nowait())
            rows += len(group[-1].rows)
        WAITING.set(self._queue.qsize())
        return group

    async def _write(self, group: Sequence[Entry]) -> None:
        """Write a group; one that holds a row which the database refuses is halved until that row is found."""
        if not group:
            return
        try:
            await asyncio.wait_for(self._table.insert([row for entry in group for row in entry.rows]), KEEP_SECONDS)
        except (Retry, TimeoutError) as error:
            self._away(group, error)
        except Reject as error:
            await self._refused(group, error)
        else:
            self._life.found("mysql")
            WRITTEN.inc(len(group))
            for entry in group:
                _end(entry, None)

    def _away(self, group: Sequence[Entry], error: Exception) -> None:
        reason = str(error) or f"mysql: no answer within {KEEP_SECONDS:g} s"
        self._life.lacks("mysql", reason)
        for entry in group:
            _end(entry, Retry("mysql", reason.removeprefix("mysql: ")))

    async def _refused(self, group: Sequence[Entry], error: Reject) -> None:
        if len(group) > 1:
            middle = len(group) // 2
            await self._write(group[:middle])
            await self._write(group[middle:])
            return
        (entry,) = group
        value = orjson.dumps(entry.rows, default=str)
        self._letters.send(error, error.reason, Message(self._table.name, entry.request_id, (), value))
        _end(entry, error)


def _end(entry: Entry, error: Exception | None) -> None:
    if entry.written.done():
        return
    if error is None:
        entry.written.set_result(None)
    else:
        entry.written.set_exception(error)
        entry.written.exception()  # a client that went away does not read it, and nothing is to be said of that
