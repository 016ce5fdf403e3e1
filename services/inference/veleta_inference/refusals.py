"""Stores refused requests (4xx), up to a bound, so that operators see what clients do wrong."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

import orjson
import prometheus_client

from veleta.clock import for_sql
from veleta.errors import Retry
from veleta_inference.ports import JournalWriter

MAX_PER_SECOND = 20
"""At most this many are stored in a second. The others are only counted."""
MAX_BODY_BYTES = 4096
"""The first bytes of a body that are stored."""
MAX_TEXT = 255
DROPPED = prometheus_client.Counter("veleta_refusals_dropped", "refused requests that were not stored")


@dataclass(frozen=True)
class Refusal:
    """A refused request, and why it was refused. `body` is the part of it that was read.

    `key_name` is the name of the API key that it was sent with, if keys are required and it has a valid one.
    """

    request_id: str
    client_request_id: str | None
    key_name: str | None
    client_address: str | None
    received_at: datetime
    path: str
    http_status: int
    reason: str
    body: bytes


class Refusals:
    """Stores refusals in a journal of their own."""

    def __init__(self, journal: JournalWriter, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._second = self._count = 0

    async def store(self, refusal: Refusal) -> None:
        """Store a refusal, or drop it if this second's limit is reached or the journal is full."""
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count > MAX_PER_SECOND:
            DROPPED.inc()
            return
        try:
            await self._journal.append([_line(refusal)])
        except Retry:
            DROPPED.inc()


def _line(refusal: Refusal) -> bytes:
    received_at, body = for_sql(refusal.received_at), refusal.body[:MAX_BODY_BYTES].decode(errors="backslashreplace")
    texts = {"path": _text(refusal.path), "reason": _text(refusal.reason), "body": body}
    return orjson.dumps({**asdict(refusal), "received_at": received_at, **texts})


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()[:MAX_TEXT]
