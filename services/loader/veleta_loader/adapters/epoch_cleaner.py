"""Deletes the rows of older epochs from RAW_DATA and CLEAN_DATA."""

from collections.abc import Callable

import sqlalchemy as sa

from veleta.adapters.mysql import database_errors
from veleta.faults import fault_point
from veleta.tables import DatasetTables, batches

ROWS_PER_DELETE = 5_000
"""Rows that one statement deletes: few enough that readers of the tables need not wait."""


class EpochCleaner:
    """Deletes the rows of earlier epochs in small transactions. TRUNCATE would commit, and wait for every reader."""

    def __init__(self, engine: sa.Engine, tables: DatasetTables, on_delete: Callable[[], None] = lambda: None) -> None:
        """`on_delete` is called after each small transaction: a sign of progress."""
        self._engine = engine
        self._on_delete = on_delete
        self._tables = (tables.raw, tables.clean)

    def has_rows_before(self, epoch: int) -> bool:
        """Whether there is a row of an epoch before this one. Raises Retry."""
        with database_errors():
            return any(self._has_rows_before(table, epoch) for table in self._tables)

    def clear_before(self, epoch: int, number: int) -> None:
        """Delete the rows of all epochs before `epoch`. Meanwhile batch (`epoch`, `number`) has the state `clearing`.

        Raises Retry if the database is unavailable; rows that are deleted by then stay deleted.
        """
        with database_errors():
            to_clear = [table for table in self._tables if self._has_rows_before(table, epoch)]
            if to_clear:
                self._set_clearing(epoch, number)
            for table in to_clear:
                while self._delete_some(table, epoch):
                    self._on_delete()
                    fault_point("loader.cleared")

    def _has_rows_before(self, table: sa.Table, epoch: int) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(table.c.epoch).where(table.c.epoch < epoch).limit(1)) is not None

    def _set_clearing(self, epoch: int, number: int) -> None:
        is_open = (batches.c.epoch == epoch, batches.c.number == number, batches.c.state == "open")
        with self._engine.begin() as connection:
            connection.execute(sa.update(batches).where(*is_open).values(state="clearing"))

    def _delete_some(self, table: sa.Table, epoch: int) -> int:
        delete = sa.delete(table).where(table.c.epoch < epoch).with_dialect_options(mysql_limit=ROWS_PER_DELETE)
        with self._engine.begin() as connection:
            return connection.execute(delete).rowcount
