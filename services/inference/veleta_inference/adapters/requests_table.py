"""Tables of requests in MySQL, written from lines of JSON: the database takes them apart."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from veleta.adapters.mysql import database_errors
from veleta.errors import Reject, Retry

STATEMENT_SECONDS = 10.0
"""After this a statement is given up, and the database counts as away."""


class RequestsTable:
    """`Table` on asyncmy.

    A line has a value for each column of `of_request`; those of the other columns stand in its list `items`, and each
    item is a row. One statement takes a whole group, in a single parameter.
    """

    def __init__(self, engine: AsyncEngine, table: sa.Table, of_request: Collection[str]) -> None:
        self._engine = engine
        self._table = table
        self._insert = _insert(table, of_request)

    @property
    def name(self) -> str:
        """See `Table.name`."""
        return self._table.fullname

    async def insert(self, lines: Sequence[bytes]) -> None:
        """See `Table.insert`."""
        await self._execute(self._insert, {"lines": b"[%b]" % b",".join(lines)})

    async def check(self) -> None:
        """Ask the database for a sign of life. Raises Retry."""
        await self._execute(sa.select(1), {})

    async def _execute(self, statement: sa.Executable, parameters: dict[str, bytes]) -> None:
        with _told():
            try:
                async with asyncio.timeout(STATEMENT_SECONDS), self._engine.begin() as sql:
                    await sql.execute(statement, parameters)
            except TimeoutError:
                raise Retry("mysql", f"no answer within {STATEMENT_SECONDS:g} s") from None


class _Hexadecimal(sa.types.UserDefinedType[bytes]):
    """UTF-8 in hexadecimal: the driver takes ten times as long to escape a text, and all else waits meanwhile."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[bytes], str]:  # noqa: ARG002 - SQLAlchemy calls it so
        return lambda value: f"_utf8mb4 X'{value.hex()}'"


def _insert(table: sa.Table, of_request: Collection[str]) -> sa.Insert:
    """INSERT of the rows in the JSON text `lines`; whose request_id is in the table already is left out.

    ON DUPLICATE KEY UPDATE would ask for the right to update (docs/decisions/0019-request-journal.md).
    """
    of_items = [column for column in table.c if column.name not in {*of_request, "item"}]
    columns = [_column(table.c[name], f"$.{name}") for name in of_request]
    if of_items:
        nested = ["item FOR ORDINALITY", *(_column(column, f"$.{column.name}") for column in of_items)]
        columns.append(f"NESTED PATH '$.items[*]' COLUMNS ({', '.join(nested)})")
    lines = sa.text(f"JSON_TABLE(:lines, '$[*]' COLUMNS ({', '.join(columns)})) AS line").bindparams(
        sa.bindparam("lines", type_=_Hexadecimal(), literal_execute=True)
    )
    named = ("line.item - 1" if column.name == "item" else f"line.`{column.name}`" for column in table.c)
    values: list[sa.ColumnElement[object]] = [sa.literal_column(name) for name in named]
    kept = table.alias("kept")
    known = sa.exists().where(kept.c.request_id == sa.literal_column("line.request_id"))
    return sa.insert(table).from_select(list(table.c), sa.select(*values).select_from(lines).where(~known))


def _column(column: sa.Column[object], path: str) -> str:
    """A column of JSON_TABLE; what does not fit it is an error, as it is for a column of a table."""
    kind = column.type.compile(dialect=mysql.dialect())
    return f"`{column.name}` {kind} PATH '{path}' NULL ON EMPTY ERROR ON ERROR"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors of the data become Reject, and all others Retry: asyncmy lets any error out when a connection breaks.

    https://github.com/long2ice/asyncmy/issues/158
    """
    try:
        with database_errors():
            yield
    except Retry:
        raise
    except (DataError, IntegrityError, OperationalError) as error:
        raise Reject("the database refuses the row", str(error.orig)) from error
    except Exception as error:
        raise Retry("mysql", f"{type(error).__name__}: {error}") from error
