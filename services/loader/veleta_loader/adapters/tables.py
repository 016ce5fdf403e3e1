"""The loader's tables in MySQL."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.mysql import MysqlUnitOfWork, database_errors
from veleta.clock import for_sql
from veleta.events.catalogue import DatasetDeclared
from veleta.faults import fault_point
from veleta.tables import DatasetTables, batches, datasets
from veleta_loader.domain.sorting import SqlRow
from veleta_loader.handlers import SERVICE

CLEAR_GROUP = 5_000
"""Rows that one statement deletes: short enough that readers of the tables do not wait."""


class MysqlTables:
    """`Tables` on one connection."""

    def __init__(self, connection: sa.Connection, tables: DatasetTables) -> None:
        self._sql = connection
        self._raw, self._clean = tables.raw, tables.clean

    def batch(self, epoch: int, number: int) -> dict[str, Any] | None:
        """See `Tables.batch`."""
        query = sa.select(batches).where(batches.c.epoch == epoch, batches.c.number == number)
        found = self._sql.execute(query).mappings().first()
        return dict(found) if found else None

    def note(self, epoch: int, number: int, **values: Any) -> None:
        """See `Tables.note`."""
        line = insert(batches).values(epoch=epoch, number=number, **values)
        self._sql.execute(line.on_duplicate_key_update(**values))

    def abandon(self, epoch: int, number: int) -> None:
        """See `Tables.abandon`."""
        other = sa.or_(batches.c.epoch != epoch, batches.c.number != number)
        self._sql.execute(sa.update(batches).where(batches.c.state == "open", other).values(state="abandoned"))

    def insert(self, raw: list[SqlRow], clean: list[SqlRow]) -> None:
        """See `Tables.insert`."""
        for table, rows in ((self._raw, raw), (self._clean, clean)):
            if rows:
                self._sql.execute(sa.insert(table), rows)

    def declare(self, declared: DatasetDeclared, at: datetime) -> None:
        """See `Tables.declare`."""
        line = insert(datasets).values(
            digest=declared.digest, name=declared.dataset, file=declared.toml, declared_at=for_sql(at)
        )
        self._sql.execute(line.on_duplicate_key_update(digest=declared.digest))

    def declared(self, digest: str) -> str | None:
        """See `Tables.declared`."""
        return self._sql.scalar(sa.select(datasets.c.file).where(datasets.c.digest == digest))


class MysqlLoaderUnitOfWork(MysqlUnitOfWork):
    """`LoaderUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection, tables: DatasetTables) -> None:
        super().__init__(connection, SERVICE)
        self.tables = MysqlTables(connection, tables)


class EpochCleaner:
    """Deletes the rows of older epochs, bit by bit: TRUNCATE would commit by itself and wait for every reader."""

    def __init__(self, engine: sa.Engine, tables: DatasetTables) -> None:
        self._engine = engine
        self._tables = (tables.raw, tables.clean)

    def before(self, epoch: int, number: int) -> None:
        """Delete the rows of epochs before `epoch`; the line of batch (`epoch`, `number`) says `clearing` meanwhile.

        Raises Retry when the database is away; what is deleted by then stays so.
        """
        with database_errors():
            full = [table for table in self._tables if self._any_before(table, epoch)]
            if full:
                self._say(epoch, number)
            for table in full:
                while self._delete_some(table, epoch):
                    fault_point("loader.cleared")

    def _any_before(self, table: sa.Table, epoch: int) -> bool:
        with self._engine.connect() as sql:
            return sql.scalar(sa.select(table.c.epoch).where(table.c.epoch < epoch).limit(1)) is not None

    def _say(self, epoch: int, number: int) -> None:
        here = (batches.c.epoch == epoch, batches.c.number == number, batches.c.state == "open")
        with self._engine.begin() as sql:
            sql.execute(sa.update(batches).where(*here).values(state="clearing"))

    def _delete_some(self, table: sa.Table, epoch: int) -> int:
        some = sa.delete(table).where(table.c.epoch < epoch).with_dialect_options(mysql_limit=CLEAR_GROUP)
        with self._engine.begin() as sql:
            return sql.execute(some).rowcount
