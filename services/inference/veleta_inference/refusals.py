"""Refused requests (4xx) are kept too, as many as a bound allows, so that people see what clients get wrong."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import orjson
import prometheus_client

from veleta.clock import for_sql
from veleta.errors import Retry
from veleta_inference.ports import Keeper

PER_SECOND = 20
"""So many are kept in a second; the others are only counted."""
KEPT_BYTES = 4096
"""The beginning of a refused body."""
KEPT_TEXT = 255
UNKEPT = prometheus_client.Counter("veleta_refusals_unkept", "refused requests beyond what is kept")


@dataclass(frozen=True)
class Refusal:
    """A refused request and why it was; `body` is what of it was read."""

    request_id: str
    client_request_id: str | None
    received_at: datetime
    path: str
    http_status: int
    reason: str
    body: bytes


class Refusals:
    """Keeps refusals in a journal of their own."""

    def __init__(self, journal: Keeper, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._second = 0
        self._kept = 0

    async def keep(self, refusal: Refusal) -> None:
        """Keep it, if this second has room for it and the journal too."""
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._kept = second, 0
        self._kept += 1
        if self._kept > PER_SECOND:
            UNKEPT.inc()
            return
        try:
            await self._journal.keep([_line(refusal)])
        except Retry:
            UNKEPT.inc()


def _line(refusal: Refusal) -> bytes:
    return orjson.dumps(
        {
            "request_id": refusal.request_id,
            "client_request_id": refusal.client_request_id,
            "received_at": for_sql(refusal.received_at),
            "path": refusal.path.encode(errors="replace").decode()[:KEPT_TEXT],
            "http_status": refusal.http_status,
            "reason": refusal.reason.encode(errors="replace").decode()[:KEPT_TEXT],
            "body": refusal.body[:KEPT_BYTES].decode(errors="backslashreplace"),
        }
    )
