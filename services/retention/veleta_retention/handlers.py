"""What retention deletes."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.service.health import ServiceHealth
from veleta_retention.domain.expiry import Purge, kept_since
from veleta_retention.ports import Purges, Requests, Table

DELETED = prometheus_client.Counter("veleta_request_rows_deleted", "rows that retention deleted", ["table", "reason"])
SWEEP_SECONDS = 10.0
"""The pause between two looks for what is to go."""
BREATH_SECONDS = 0.05
"""The pause between two deletions: the database serves others too."""
log = structlog.get_logger()


class Retention:
    """Deletes what is too old, and what was purged and came into the database afterwards."""

    def __init__(
        self, requests: Sequence[Requests], purges: Purges, days: int, health: ServiceHealth, clock: Clock
    ) -> None:
        """Requests are kept for so many `days`; 0: for ever."""
        self._requests = requests
        self._purges = purges
        self._days = days
        self._health = health
        self._clock = clock

    async def run(self) -> None:
        """Sweep again and again until the service stops."""
        self._health.activity = f"keeps requests for {self._days} days" if self._days else "keeps requests for ever"
        await self._health.retry_until_available(self.sweep)
        self._health.mark_started()
        while await self._health.sleep(SWEEP_SECONDS):
            await self._health.retry_until_available(self.sweep)

    async def sweep(self) -> None:
        """Delete all that is to go now. Raises Retry; what is deleted by then stays so."""
        if since := kept_since(self._clock(), self._days):
            for table in (*self._requests, self._purges):
                await self._delete(table, "old", partial(table.delete_older, since))
        for table in self._requests:
            for purge in await asyncio.to_thread(table.purged):
                await self._delete(table, "purged", partial(table.delete_purged, purge))

    async def _delete(self, table: Table, reason: str, delete_some: Callable[[], int]) -> None:
        """Delete bit by bit until nothing is left or the service stops."""
        deleted, going_on = 0, True
        try:
            while going_on and (some := await asyncio.to_thread(delete_some)):
                deleted += some
                DELETED.labels(table.name, reason).inc(some)
                going_on = await self._health.sleep(BREATH_SECONDS)
        finally:
            if deleted:
                log.info("deleted", table=table.name, reason=reason, rows=deleted)


def purge(name: str, requests: Sequence[Requests], purges: Purges, clock: Clock) -> dict[str, int]:
    """Delete all requests that are called so and were received until now: by table, how many rows.

    It is remembered first, so what is still in a journal is deleted by the service when it comes. Raises Retry.
    """
    meant = Purge(name, clock())
    purges.add(meant)
    return {table.name: sum(iter(partial(table.delete_purged, meant), 0)) for table in requests}
