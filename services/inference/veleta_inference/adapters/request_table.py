"""Tables of requests in MySQL. The database parses the journal's lines of JSON into rows."""

import asyncio
import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import prometheus_client
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from veleta.adapters.mysql import database_errors
from veleta.errors import Reject, Retry

WRITTEN = prometheus_client.Counter("veleta_requests_written", "requests that were inserted into MySQL", ["table"])
MAX_BYTES = 30 * 1024 * 1024
"""More does not fit into a packet (64 MiB), where each byte has two digits. The server would close the connection."""
MAX_NUMBER = 254
"""Characters of a number or a time."""
CHARACTERS = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
STATEMENT_SECONDS = 10.0
"""A statement that takes longer is cancelled, and the database counts as unavailable."""


class MysqlRequestTable:
    """Inserts the requests of a journal into a table of MySQL: `Sink` on asyncmy, by one statement.

    A line has a value for each of the `request_columns`. The objects in its list `items` have the values of the other
    columns, and each of them becomes a row.
    """

    dependency = "mysql"

    def __init__(
        self, engine: AsyncEngine, table: sa.Table, request_columns: Collection[str], left_out: Collection[str] = ()
    ) -> None:
        """No line has values of the columns that are `left_out`."""
        self._engine = engine
        self._table = table
        self._insert = _insert(table, request_columns, [column for column in table.c if column.name not in left_out])

    @property
    def name(self) -> str:
        return self._table.fullname

    async def insert(self, lines: Sequence[bytes]) -> None:
        array = b"[%b]" % b",".join(lines)
        if len(array) > MAX_BYTES:
            raise Reject("the line is too long for the database", f"{len(array)} bytes, the limit is {MAX_BYTES}")
        try:
            array.decode()
        except UnicodeDecodeError as error:
            raise Reject("the line is not UTF-8", str(error)) from error
        # asyncmy escapes hexadecimal digits nine times as fast as other text, and blocks the event loop meanwhile.
        await self._execute(self._insert, {"lines": array.hex()})
        WRITTEN.labels(self.name).inc(len(lines))

    async def _execute(
        self, statement: sa.Executable, parameters: Mapping[str, str] | None = None
    ) -> sa.CursorResult[Any]:
        with _translated_errors():
            try:
                async with asyncio.timeout(STATEMENT_SECONDS), self._engine.begin() as connection:
                    return await connection.execute(statement, parameters)
            except TimeoutError:
                raise Retry("mysql", f"no response within {STATEMENT_SECONDS:g} s") from None


class MysqlAnswerTable(MysqlRequestTable):
    """The same table for requests with their answers: `AnswerTable`."""

    async def find(self, request_id: str) -> str | None:
        row = sa.select(self._table.c.answer).where(self._table.c.request_id == request_id, self._table.c.item == 0)
        found = (await self._execute(row)).first()
        return found and (found.answer or "")


def _insert(table: sa.Table, request_columns: Collection[str], columns: Sequence[sa.Column[Any]]) -> sa.Insert:
    """INSERT of the rows in the JSON text `lines`. Rows whose request_id is in the table are skipped.

    ON DUPLICATE KEY UPDATE would require the right to update (docs/decisions/0019-request-journal.md).
    """
    item_columns = [column for column in columns if column.name not in {*request_columns, "item"}]
    parsed = [_column(table.c[name], f"$.{name}") for name in request_columns]
    if item_columns:
        nested = ["item FOR ORDINALITY", *(_column(column, f"$.{column.name}") for column in item_columns)]
        parsed.append(f"NESTED PATH '$.items[*]' COLUMNS ({', '.join(nested)})")
    text = "CONVERT(UNHEX(:lines) USING utf8mb4)"
    lines = sa.text(f"JSON_TABLE({text}, '$[*]' COLUMNS ({', '.join(parsed)})) AS line")
    names = ("line.item - 1" if column.name == "item" else f"line.`{column.name}`" for column in columns)
    values: list[sa.ColumnElement[object]] = [sa.literal_column(name) for name in names]
    stored = table.alias("stored")
    is_stored = sa.exists().where(stored.c.request_id == sa.literal_column("line.request_id"))
    return sa.insert(table).from_select(columns, sa.select(*values).select_from(lines).where(~is_stored))


def _column(column: sa.Column[object], path: str) -> str:
    """A column of JSON_TABLE: a text that may be longer than the table's column accepts.

    The INSERT converts it, and refuses a value that does not fit. MariaDB's JSON_TABLE itself would shorten or replace
    the value, with only a warning.
    """
    kind = _wider_text(column).compile(dialect=mysql.dialect())
    return f"`{column.name}` {kind} PATH '{path}' NULL ON EMPTY ERROR ON ERROR"


def _wider_text(column: sa.Column[object]) -> sa.String:
    if isinstance(column.type, sa.Text | mysql.LONGTEXT):
        return mysql.LONGTEXT(**CHARACTERS)
    length = column.type.length if isinstance(column.type, sa.String) else None
    return mysql.VARCHAR((length or MAX_NUMBER) + 1, **CHARACTERS)


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate errors of the data to Reject, and all others to Retry.

    When a connection breaks, asyncmy raises errors of any type: https://github.com/long2ice/asyncmy/issues/158
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
