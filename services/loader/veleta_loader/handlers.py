"""What the loader does with each event about batches."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import structlog

from veleta.batches import BatchReader
from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchMissed, BatchOpened, BatchPayload, BatchRefused, DatasetDeclared
from veleta.events.envelope import Event
from veleta.faults import fault_point
from veleta.ports import UnitOfWork
from veleta_loader.domain.sorting import Sorting, SqlRow

SERVICE = "loader"
log = structlog.get_logger()
LONGEST_FINDINGS = 10_000
"""Characters that a line of the ledger keeps; the topics keep all."""


class Tables(Protocol):
    """The loader's tables within one transaction."""

    def batch(self, epoch: int, number: int) -> dict[str, Any] | None:
        """A batch's line in the ledger."""
        ...

    def note(self, epoch: int, number: int, **values: Any) -> None:
        """Write into a batch's line, made when there is none."""
        ...

    def abandon(self, epoch: int, number: int) -> None:
        """Every other batch that is still open will not be closed any more."""
        ...

    def insert(self, raw: list[SqlRow], clean: list[SqlRow]) -> None:
        """Add rows."""
        ...

    def declare(self, declared: DatasetDeclared, at: datetime) -> None:
        """Keep a dataset file."""
        ...

    def declared(self, digest: str) -> str | None:
        """The text of a dataset file that was declared."""
        ...


class LoaderUnitOfWork(UnitOfWork, Protocol):
    """The loader's transaction."""

    @property
    def tables(self) -> Tables:
        """The loader's tables."""
        ...


class BatchLoader:
    """The handler of `batches`."""

    event_types = (DatasetDeclared, BatchOpened, BatchClosed, BatchRefused, BatchMissed)

    def __init__(
        self,
        dataset: Dataset,
        reader: BatchReader,
        clear: Callable[[int, int], None] | None,
        clock: Clock,
    ) -> None:
        """`clear(epoch, number)` deletes the rows of epochs before `epoch`; None keeps them."""
        self._dataset = dataset
        self._reader = reader
        self._clear = clear
        self._clock = clock

    def prepare(self, event: Event) -> None:
        """Clear the old epochs before the first row of a new one, in small transactions of their own."""
        if self._clear and isinstance(event.payload, BatchClosed):
            self._clear(event.payload.epoch, event.payload.number)

    def apply(self, event: Event, prepared: None, uow: LoaderUnitOfWork) -> None:  # noqa: ARG002 - the contract of a handler
        """Take effect in the tables."""
        tables = uow.tables
        match event.payload:
            case DatasetDeclared() as declared:
                tables.declare(declared, event.time)
            case BatchOpened() as opened:
                self._open(opened, event.time, tables)
            case BatchClosed() as manifest:
                self._load(manifest, event.time, tables)
            case BatchRefused() as refused:
                self._mark(refused, "refused", f"refused: {refused.reason}", tables)
            case BatchMissed() as missed:
                self._mark(missed, "missed", f"missed: {missed.reason}", tables)

    def on_dead_letter(self, event: Event, error: Exception, uow: LoaderUnitOfWork) -> None:
        """A dead-lettered manifest refuses its batch; one that is loaded stays so, with a finding."""
        if isinstance(event.payload, BatchPayload):
            self._mark(event.payload, "refused", str(error), uow.tables)

    def _open(self, opened: BatchOpened, at: datetime, tables: Tables) -> None:
        tables.abandon(opened.epoch, opened.number)
        if not _loaded(tables.batch(opened.epoch, opened.number)):
            tables.note(opened.epoch, opened.number, state="open", digest=opened.digest, opened_at=for_sql(at))

    def _load(self, manifest: BatchClosed, at: datetime, tables: Tables) -> None:
        """The rows are read within the transaction: a batch may be larger than memory, and half of it is never seen."""
        known = tables.batch(manifest.epoch, manifest.number)
        if known and _loaded(known):
            if known["digest"] != manifest.digest:
                raise Reject("conflict", f"{manifest.batch} was loaded with another digest")
            return
        dataset, findings = self._recorded(manifest, tables)
        sorting = Sorting(dataset, manifest.epoch, manifest.number)
        for rows in self._reader.chunks(manifest):
            tables.insert(*sorting.sort(rows))
            fault_point("loader.chunk")
        log.info("loading", batch=manifest.batch, rows=sorting.received, rejected=dict(sorting.rejected))
        tables.note(
            manifest.epoch,
            manifest.number,
            state="loaded",
            received=sorting.received,
            cleaned=sorting.cleaned,
            rejected=dict(sorting.rejected),
            digest=manifest.digest,
            finding=_findings(known, [*manifest.findings, *findings]),
            closed_at=for_sql(at),
            loaded_at=for_sql(self._clock()),
        )

    def _recorded(self, manifest: BatchClosed, tables: Tables) -> tuple[Dataset, list[str]]:
        """The dataset file that the batch came under, which need not be today's; what is odd about it."""
        if manifest.dataset_digest == self._dataset.digest:
            return self._dataset, []
        if text := tables.declared(manifest.dataset_digest):
            return parse_dataset(text), []
        return self._dataset, ["its dataset file was never declared: read by today's"]

    def _mark(self, batch: BatchPayload, state: str, finding: str, tables: Tables) -> None:
        known = tables.batch(batch.epoch, batch.number)
        kept = "loaded" if _loaded(known) else state
        tables.note(batch.epoch, batch.number, state=kept, finding=_findings(known, [finding]))


def _loaded(line: dict[str, Any] | None) -> bool:
    return line is not None and line["state"] == "loaded"


def _findings(known: dict[str, Any] | None, found: list[str]) -> str | None:
    """Old and new findings, each once, a line each."""
    before = (known or {}).get("finding") or ""
    return "\n".join(dict.fromkeys([*before.splitlines(), *found]))[:LONGEST_FINDINGS] or None
