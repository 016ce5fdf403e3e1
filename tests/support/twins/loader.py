"""The loader's repositories in memory."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from support.twins import duplicate_key
from support.twins.shared import MemoryUnitOfWork
from veleta.events.catalogue import DatasetDeclared
from veleta_loader.ports import BatchEntry


class MemoryBatches:
    """`BatchRepository` in a dict."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, int], BatchEntry] = {}

    def load(self, epoch: int, number: int) -> BatchEntry | None:
        return self.entries.get((epoch, number))

    def save(self, entry: BatchEntry) -> None:
        key = entry.epoch, entry.number
        values = {name: value for name, value in vars(entry).items() if value is not None}
        self.entries[key] = replace(self.entries.get(key, entry), **values)

    def newest_epoch(self) -> int | None:
        return max((epoch for epoch, _ in self.entries), default=None)

    def newest_loaded(self) -> BatchEntry | None:
        return max((e for e in self.entries.values() if e.loaded), key=lambda e: (e.epoch, e.number), default=None)

    def abandon_open(self, epoch: int, number: int) -> None:
        for key, entry in self.entries.items():
            if key != (epoch, number) and entry.state == "open":
                self.entries[key] = replace(entry, state="abandoned")


def primary_key(row: dict[str, Any]) -> tuple[int, int, int]:
    """The primary key of a row."""
    return row["epoch"], row["number"], row["row_no"]


class MemoryRows:
    """`RowRepository` in lists."""

    def __init__(self) -> None:
        self.raw: list[dict[str, Any]] = []
        self.clean: list[dict[str, Any]] = []

    def insert(self, raw: list[dict[str, Any]], clean: list[dict[str, Any]]) -> None:
        for table, rows in ((self.raw, raw), (self.clean, clean)):
            if keys := {primary_key(row) for row in table} & {primary_key(row) for row in rows}:
                raise duplicate_key(keys)
            table.extend(rows)


class MemoryDatasets:
    """`DatasetRepository` in a dict."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.declared_at: dict[str, datetime] = {}

    def insert(self, declared: DatasetDeclared, at: datetime) -> None:
        self.texts.setdefault(declared.digest, declared.toml)
        self.declared_at.setdefault(declared.digest, at)

    def text(self, digest: str) -> str | None:
        return self.texts.get(digest)


class MemoryLoaderUnitOfWork(MemoryUnitOfWork):
    """`LoaderUnitOfWork` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = MemoryBatches()
        self.rows = MemoryRows()
        self.datasets = MemoryDatasets()
