"""The table of requests in MySQL."""

import contextlib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from veleta.adapters.mysql import database
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.tables import dataset_tables
from veleta_inference.journal import SqlRow


class RequestsTable:
    """`Table` on asyncmy."""

    def __init__(self, engine: AsyncEngine, dataset: Dataset) -> None:
        self._engine = engine
        self._table = dataset_tables(dataset).requests

    @property
    def name(self) -> str:
        """See `Table.name`."""
        return self._table.fullname

    async def insert(self, rows: Sequence[SqlRow]) -> None:
        """See `Table.insert`."""
        with _journal():
            async with self._engine.begin() as sql:
                await sql.execute(sa.insert(self._table), list(rows))

    async def check(self) -> None:
        """Ask the database for a sign of life. Raises Retry."""
        with _journal():
            async with self._engine.connect() as sql:
                await sql.execute(sa.select(1))


@contextlib.contextmanager
def _journal() -> Iterator[None]:
    """Errors of the data become Reject, and all others Retry: asyncmy lets any error out when a connection breaks.

    https://github.com/long2ice/asyncmy/issues/158
    """
    try:
        with database():
            yield
    except Retry:
        raise
    except (DataError, IntegrityError, OperationalError) as error:
        raise Reject("the database refuses the row", str(error.orig)) from error
    except Exception as error:
        raise Retry("mysql", f"{type(error).__name__}: {error}") from error
