"""What the loader does with each event of the topic `batches`."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import prometheus_client
import structlog

from veleta.batches import BatchReader, RowsDeleted
from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, Stop, one_line
from veleta.events.catalogue import BatchClosed, BatchMissed, BatchOpened, BatchPayload, BatchRefused, DatasetDeclared
from veleta.events.envelope import Event
from veleta.faults import fault_point
from veleta.left_out import describe_left_out, left_out_warning
from veleta.ports import Transactions
from veleta.service.health import ServiceHealth
from veleta.tables import MAX_FINDINGS_LENGTH
from veleta_loader.domain.row_splitter import RowSplitter
from veleta_loader.ports import BatchEntry, Cleaner, DatasetRepository, LoaderUnitOfWork

SERVICE = "loader"
log = structlog.get_logger()
ROWS = prometheus_client.Counter(
    "veleta_loader_rows", "rows of loaded batches: clean, or the reason why they are left out", ["outcome"]
)


class EpochSkipped(Reject):
    """The epoch of an event does not follow the newest one: each epoch is one more than the last."""

    def __init__(self, batch: str, newest: int) -> None:
        super().__init__("the epoch does not follow", f"{batch} after epoch {newest}")


class BatchLoader:
    """The handler of `batches`."""

    event_types = (DatasetDeclared, BatchOpened, BatchClosed, BatchRefused, BatchMissed)

    def __init__(
        self,
        dataset: Dataset,
        reader: BatchReader,
        transactions: Transactions[LoaderUnitOfWork],
        cleaner: Cleaner | None,
        is_outdated: Callable[[int], bool],
        clock: Clock,
    ) -> None:
        """`cleaner` deletes the rows of earlier epochs; with None they are not deleted.

        `is_outdated(epoch)` tells that newer epochs have begun: the rows need not be loaded, since they are deleted.
        """
        self._transactions = transactions
        self._is_outdated = is_outdated
        self._dataset = dataset
        self._reader = reader
        self._cleaner = cleaner
        self._clock = clock

    async def prepare(self, event: Event) -> bool:
        """Clear the old epochs before the first row of a new one, in small transactions of their own.

        Returns whether the epoch itself is outdated: the tables were wiped, and the topic is read from its start.
        """
        if isinstance(event.payload, BatchPayload):
            await self._check_epoch(event.payload)
        if not self._cleaner or not isinstance(event.payload, BatchClosed):
            return False
        if await asyncio.to_thread(self._is_outdated, event.payload.epoch):
            return True
        await asyncio.to_thread(self._clear_before, event.payload, self._cleaner)
        return False

    def apply(self, event: Event, prepared: bool, uow: LoaderUnitOfWork) -> None:
        """Store what the event reports."""
        match event.payload:
            case DatasetDeclared() as declared:
                uow.datasets.insert(declared, event.time)
            case BatchOpened() as opened:
                self._open(opened, event.time, uow)
            case BatchClosed() as manifest if prepared:
                self._set_state(manifest, "deleted", "its rows were not loaded: newer epochs have begun", uow)
            case BatchClosed() as manifest:
                self._load(manifest, event.time, uow)
            case BatchRefused() as refused:
                self._set_state(refused, "refused", f"refused: {refused.reason}", uow)
            case BatchMissed() as missed:
                self._set_state(missed, "missed", f"missed: {missed.reason}", uow)

    def on_dead_letter(self, event: Event, error: Exception, uow: LoaderUnitOfWork) -> None:
        """Refuse the batch of a dead-lettered event. A loaded batch stays loaded, with a finding."""
        if isinstance(event.payload, BatchPayload) and not isinstance(error, EpochSkipped):
            self._set_state(event.payload, "refused", str(error), uow)

    async def _check_epoch(self, batch: BatchPayload) -> None:
        """Check that the epoch is at most one more than the newest. Raises EpochSkipped.

        An empty table accepts any epoch: an old topic may begin later than with epoch 1.
        """
        newest = await self._transactions.run(lambda uow: uow.batches.newest_epoch())
        if newest is not None and batch.epoch > newest + 1:
            raise EpochSkipped(batch.batch, newest)

    def _clear_before(self, manifest: BatchClosed, cleaner: Cleaner) -> None:
        """Delete the rows of earlier epochs, after the rows of the batch were compared with its manifest."""
        if not cleaner.has_rows_before(manifest.epoch):
            return
        try:
            deque(self._reader.chunks(manifest), maxlen=0)
        except RowsDeleted:  # a batch without rows replaces none
            return
        cleaner.clear_before(manifest.epoch, manifest.number)

    def _open(self, opened: BatchOpened, at: datetime, uow: LoaderUnitOfWork) -> None:
        uow.batches.abandon_open(opened.epoch, opened.number)
        entry = _entry(opened, uow)
        if not entry.loaded:
            uow.batches.save(replace(entry, state="open", digest=opened.digest, opened_at=for_sql(at)))

    def _load(self, manifest: BatchClosed, at: datetime, uow: LoaderUnitOfWork) -> None:
        """Read and insert within the transaction: a batch may exceed the memory, and half of it is never visible."""
        entry = _entry(manifest, uow)
        if entry.loaded:
            if entry.digest != manifest.digest:
                raise Reject("conflict", f"{manifest.batch} was loaded with another digest")
            return
        dataset, findings = self._declared_dataset(manifest, uow.datasets)
        splitter = RowSplitter(dataset, manifest.epoch, manifest.number)
        try:
            for rows in self._reader.chunks(manifest):
                uow.rows.insert(*splitter.split(rows))
                fault_point("loader.chunk")
        except RowsDeleted as deleted:  # after a wipe the topics repeat batches without rows
            if splitter.received:
                raise
            self._set_state(manifest, "deleted", deleted.reason, uow)
            return
        rejected = dict(splitter.rejected)
        log.info("rows inserted", batch=manifest.batch, rows=splitter.received, rejected=rejected)
        left_out = describe_left_out(splitter.received, rejected, splitter.examples)
        loaded = replace(
            entry,
            state="loaded",
            received=splitter.received,
            cleaned=splitter.cleaned,
            rejected=rejected,
            digest=manifest.digest,
            closed_at=for_sql(at),
            loaded_at=for_sql(self._clock()),
        )
        uow.batches.save(_with_findings(loaded, [*filter(None, [left_out]), *manifest.findings, *findings]))

    def _declared_dataset(self, manifest: BatchClosed, datasets: DatasetRepository) -> tuple[Dataset, list[str]]:
        """The dataset file of the batch, which may be an older version, and findings about it."""
        if manifest.dataset_digest == self._dataset.digest:
            return self._dataset, []
        if text := datasets.text(manifest.dataset_digest):
            try:
                return parse_dataset(text), []
            except Stop as error:
                raise Reject("its dataset file cannot be read", one_line(error)) from error
        return self._dataset, ["its dataset file was never declared: the current file was used"]

    def _set_state(self, batch: BatchPayload, state: str, finding: str, uow: LoaderUnitOfWork) -> None:
        entry = _entry(batch, uow)
        changed = entry if entry.loaded else replace(entry, state=state)
        uow.batches.save(_with_findings(changed, [finding]))


class RowReporter:
    """Shows the newest loaded batch: a warning on /readyz if too many of its rows are left out, and a metric."""

    def __init__(self, transactions: Transactions[LoaderUnitOfWork], health: ServiceHealth) -> None:
        self._transactions = transactions
        self._health = health
        self._reported = (0, 0)

    async def restore(self) -> None:
        """Show the warning that the batch table gives, after a restart. Raises Retry."""
        await self._warn()

    async def report(self) -> None:
        """Show the warning, and count the rows of a batch that was loaded just now. Raises Retry."""
        if newest := await self._warn():
            ROWS.labels("clean").inc(newest.cleaned or 0)
            for reason, count in (newest.rejected or {}).items():
                ROWS.labels(reason).inc(count)

    async def _warn(self) -> BatchEntry | None:
        """The newest loaded batch, if it was not reported before."""
        newest = await self._transactions.run(lambda uow: uow.batches.newest_loaded())
        if newest is None or (newest.epoch, newest.number) == self._reported:
            return None
        self._reported = newest.epoch, newest.number
        name = f"{newest.epoch}/{newest.number}"
        warning = left_out_warning(name, newest.received or 0, newest.rejected or {}, newest.finding or "")
        self._health.set_warning("rows", warning)
        return newest


def _entry(batch: BatchPayload, uow: LoaderUnitOfWork) -> BatchEntry:
    """The entry of a batch, or a new one."""
    return uow.batches.load(batch.epoch, batch.number) or BatchEntry(batch.epoch, batch.number, "open")


def _with_findings(entry: BatchEntry, findings: Sequence[str]) -> BatchEntry:
    """The entry with these findings added, each finding once."""
    lines = dict.fromkeys([*(entry.finding or "").splitlines(), *findings])
    return replace(entry, finding="\n".join(lines)[:MAX_FINDINGS_LENGTH] or None)
