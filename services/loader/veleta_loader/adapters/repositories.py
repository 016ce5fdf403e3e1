"""The loader's repositories in MySQL."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.mysql import MysqlUnitOfWork
from veleta.clock import for_sql
from veleta.events.catalogue import DatasetDeclared
from veleta.tables import DatasetTables, batches, datasets
from veleta_loader.domain.row_splitter import TableRow
from veleta_loader.handlers import SERVICE
from veleta_loader.ports import BatchEntry


class MysqlBatches:
    """Stores the batch table: `BatchRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def load(self, epoch: int, number: int) -> BatchEntry | None:
        query = sa.select(batches).where(batches.c.epoch == epoch, batches.c.number == number)
        row = self._connection.execute(query).mappings().first()
        return BatchEntry(**row) if row else None

    def save(self, entry: BatchEntry) -> None:
        values = {name: value for name, value in asdict(entry).items() if value is not None}
        self._connection.execute(insert(batches).values(values).on_duplicate_key_update(values))

    def newest_epoch(self) -> int | None:
        newest: int | None = self._connection.scalar(sa.select(sa.func.max(batches.c.epoch)))
        return newest

    def newest_loaded(self) -> BatchEntry | None:
        newest = batches.c.epoch.desc(), batches.c.number.desc()
        query = sa.select(batches).where(batches.c.state == "loaded").order_by(*newest).limit(1)
        row = self._connection.execute(query).mappings().first()
        return BatchEntry(**row) if row else None

    def abandon_open(self, epoch: int, number: int) -> None:
        other = sa.or_(batches.c.epoch != epoch, batches.c.number != number)
        self._connection.execute(sa.update(batches).where(batches.c.state == "open", other).values(state="abandoned"))


class MysqlRows:
    """Stores raw and clean rows: `RowRepository` on one connection."""

    def __init__(self, connection: sa.Connection, tables: DatasetTables) -> None:
        self._connection = connection
        self._raw, self._clean = tables.raw, tables.clean

    def insert(self, raw: list[TableRow], clean: list[TableRow]) -> None:
        for table, rows in ((self._raw, raw), (self._clean, clean)):
            if rows:
                self._connection.execute(sa.insert(table), rows)


class MysqlDatasets:
    """Stores declared datasets: `DatasetRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def insert(self, declared: DatasetDeclared, at: datetime) -> None:
        row = {"digest": declared.digest, "name": declared.dataset, "file": declared.toml, "declared_at": for_sql(at)}
        self._connection.execute(insert(datasets).values(row).on_duplicate_key_update(digest=declared.digest))

    def text(self, digest: str) -> str | None:
        return self._connection.scalar(sa.select(datasets.c.file).where(datasets.c.digest == digest))


class MysqlLoaderUnitOfWork(MysqlUnitOfWork):
    """`LoaderUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection, tables: DatasetTables) -> None:
        super().__init__(connection, SERVICE)
        self.batches = MysqlBatches(connection)
        self.rows = MysqlRows(connection, tables)
        self.datasets = MysqlDatasets(connection)
