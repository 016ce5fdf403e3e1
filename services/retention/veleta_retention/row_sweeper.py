"""Deletes the rows of batches beyond the limits, in MySQL and in the topic `rows`."""

import asyncio
from collections.abc import Sequence
from functools import partial

import prometheus_client
import structlog

from veleta.service.health import ServiceHealth
from veleta_retention.domain.kept_rows import BatchKey, Limits, first_offsets, needed_from, oldest_kept
from veleta_retention.handlers import PAUSE_SECONDS
from veleta_retention.ports import Batches, Now, RowReaders, RowTable, RowTopic

DELETED = prometheus_client.Counter("veleta_row_records_deleted", "records of the topic rows that retention deleted")
log = structlog.get_logger()


class RowSweeper:
    """Moves the first batch that has rows. Manifests, verdicts and decisions stay."""

    def __init__(
        self,
        batches: Batches,
        readers: RowReaders,
        tables: Sequence[RowTable],
        rows: RowTopic,
        limits: Limits,
        health: ServiceHealth,
        now: Now,
    ) -> None:
        self._batches = batches
        self._readers = readers
        self._tables = tables
        self._rows = rows
        self._limits = limits
        self._health = health
        self._now = now
        self._oldest: BatchKey | None = None

    async def sweep(self) -> None:
        """Delete what is due. Raises Retry; what was deleted before stays deleted."""
        if self._limits == Limits(0, 0):
            return
        closed = await asyncio.to_thread(self._batches.refresh)
        newest = await asyncio.to_thread(self._readers.newest_epoch)
        kept = oldest_kept(closed, newest, self._limits, await self._now())
        if kept is None or kept == self._oldest:
            return
        processed = await asyncio.to_thread(self._readers.processed)
        needed = needed_from(closed, processed, await asyncio.to_thread(self._readers.trainings_from))
        oldest = min(kept, needed or kept)
        if oldest == self._oldest:
            return
        for table in self._tables:
            await self._delete_all(table, oldest)
        records = await asyncio.to_thread(self._rows.delete_before, first_offsets(closed, oldest))
        DELETED.inc(records)
        if records:
            log.info("rows of batches deleted", before=f"{oldest[0]}/{oldest[1]}", records=records)
        self._batches.forget_before(oldest)
        self._oldest = oldest

    async def _delete_all(self, table: RowTable, oldest: BatchKey) -> None:
        total = 0
        while count := await asyncio.to_thread(partial(table.delete_before, oldest)):
            total += count
            if not await self._health.sleep(PAUSE_SECONDS):
                break
        if total:
            log.info("rows deleted", table=table.name, before=f"{oldest[0]}/{oldest[1]}", rows=total)
