"""Deletes expired and purged requests."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.service.health import ServiceHealth
from veleta_retention.domain.expiry import Purge, expiry_cutoff
from veleta_retention.ports import Now, PurgeTable, RequestTable, Table

DELETED = prometheus_client.Counter("veleta_request_rows_deleted", "rows that retention deleted", ["table", "reason"])
SWEEP_SECONDS = 10.0
"""The pause between two sweeps."""
PAUSE_SECONDS = 0.05
"""The pause between two deletions, so that the database can serve others."""
log = structlog.get_logger()


class RetentionSweeper:
    """Regularly deletes expired requests, and purged requests that were inserted after their purge."""

    def __init__(
        self, requests: Sequence[RequestTable], purges: PurgeTable, days: int, health: ServiceHealth, now: Now
    ) -> None:
        """Requests expire after `days`, or never if it is 0."""
        self._requests = requests
        self._purges = purges
        self._days = days
        self._health = health
        self._now = now

    async def run(self) -> None:
        """Sweep until the service stops."""
        await self._health.supervise("sweeps", self._run())

    async def _run(self) -> None:
        await self._health.retry_until_available(self.sweep)
        self._health.mark_started()
        while await self._health.sleep(SWEEP_SECONDS):
            await self._health.retry_until_available(self.sweep)

    async def sweep(self) -> None:
        """Delete all expired and purged rows. Raises Retry; rows that were deleted before stay deleted."""
        if cutoff := expiry_cutoff(await self._now(), self._days):
            for table in (*self._requests, self._purges):
                await self._delete_all(table, "old", partial(table.delete_before, cutoff))
        for table in self._requests:
            for purge in await asyncio.to_thread(table.pending_purges):
                await self._delete_all(table, "purged", partial(table.delete_purged, purge))

    async def _delete_all(self, table: Table, reason: str, delete_some: Callable[[], int]) -> None:
        """Call `delete_some` until nothing remains, or the service stops."""
        total, running = 0, True
        try:
            while running and (count := await asyncio.to_thread(delete_some)):
                total += count
                DELETED.labels(table.name, reason).inc(count)
                running = await self._health.sleep(PAUSE_SECONDS)
        finally:
            if total:
                log.info("rows deleted", table=table.name, reason=reason, rows=total)


def purge_requests(name: str, requests: Sequence[RequestTable], purges: PurgeTable, clock: Clock) -> dict[str, int]:
    """Delete all requests with this id that were received until now. Returns the number of rows of each table.

    The purge is saved first: the service deletes the requests that are still in a journal. Raises Retry.
    """
    purge = Purge(name, clock())
    purges.save(purge)
    return {table.name: _delete_purged(table, purge) for table in requests}


def _delete_purged(table: RequestTable, purge: Purge) -> int:
    total = 0
    while count := table.delete_purged(purge):
        total += count
    return total
