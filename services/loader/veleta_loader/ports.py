"""The repositories that the loader requires, one for each of its tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from veleta.events.catalogue import DatasetDeclared
from veleta.ports import UnitOfWork
from veleta_loader.domain.row_splitter import TableRow


@dataclass(frozen=True)
class BatchEntry:
    """One row of the batch table, PIPELINE.batches. Times are UTC without a zone. `finding`: one finding a line."""

    epoch: int
    number: int
    state: str
    received: int | None = None
    cleaned: int | None = None
    rejected: Mapping[str, int] | None = None
    digest: str | None = None
    finding: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    loaded_at: datetime | None = None

    @property
    def loaded(self) -> bool:
        """Whether the rows of the batch are stored."""
        return self.state == "loaded"


class BatchRepository(Protocol):
    """The batch table."""

    def load(self, epoch: int, number: int) -> BatchEntry | None:
        """The entry of a batch."""

    def save(self, entry: BatchEntry) -> None:
        """Insert or update the entry of a batch. A field that is None stays as it is in the table."""

    def newest_epoch(self) -> int | None:
        """The greatest epoch. None if the table is empty."""

    def newest_loaded(self) -> BatchEntry | None:
        """The entry of the last batch of the last epoch that is loaded. None if no batch is."""

    def abandon_open(self, epoch: int, number: int) -> None:
        """Set every open batch except this one to `abandoned`: it will not be closed any more."""


class RowRepository(Protocol):
    """RAW_DATA.<dataset> and CLEAN_DATA.<dataset>."""

    def insert(self, raw: list[TableRow], clean: list[TableRow]) -> None:
        """Insert rows into both tables."""


class DatasetRepository(Protocol):
    """PIPELINE.datasets: every dataset file that was declared."""

    def insert(self, declared: DatasetDeclared, at: datetime) -> None:
        """Store a dataset file. One with the same digest is stored once."""

    def text(self, digest: str) -> str | None:
        """The text of a dataset file."""


class Cleaner(Protocol):
    """Deletes the rows of old epochs, outside the loader's transactions. It blocks. Its methods raise Retry."""

    def has_rows_before(self, epoch: int) -> bool:
        """Whether there is a row of an epoch before this one."""

    def clear_before(self, epoch: int, number: int) -> None:
        """Delete the rows of all epochs before `epoch`, whose batch `number` is loaded next."""


class LoaderUnitOfWork(UnitOfWork, Protocol):
    """A transaction of the loader."""

    @property
    def batches(self) -> BatchRepository:
        """The batch table."""

    @property
    def rows(self) -> RowRepository:
        """The tables of rows."""

    @property
    def datasets(self) -> DatasetRepository:
        """The declared dataset files."""
