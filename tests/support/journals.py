"""A journal in memory, and a database server that refuses lines as MySQL and MariaDB do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from veleta_inference.domain.journal_lines import Portion

REFUSALS = (
    (3141, "22032"), (3157, "22032"), (3669, "22003"), (1406, "22001"), (1264, "22003"), (1292, "22007"),
    (1366, "22007"), (1048, "23000"), (3819, "HY000"), (4025, "23000"), (4036, "HY000"), (4037, "HY000"),
    (4038, "HY000"), (4040, "HY000"), (4178, "HY000"),
)  # fmt: skip
"""The errors of a row: numbers of the server, with the SQLSTATE."""


class MemoryJournal:
    """`Journal` in memory. It may have damaged lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.damaged: list[bytes] = []
        self.empty = asyncio.Event()

    async def append(self, lines: Sequence[bytes]) -> None:
        self.lines += lines
        self.empty.clear()

    def read(self) -> Portion:
        return Portion(len(self.lines[:4]) + len(self.damaged), self.lines[:4], list(self.damaged))

    def acknowledge(self, portion: Portion) -> None:
        del self.lines[: len(portion.lines)], self.damaged[: len(portion.damaged)]
        if not self.lines and not self.damaged:
            self.empty.set()

    def adopt(self) -> None:
        """No other process has a journal."""

    def check(self) -> None:
        """Never full."""

    def close(self) -> None:
        """Nothing to close."""


class FakeServer:
    """The engine of asyncmy with a server that inserts lines of JSON, or fails with an error number and a SQLSTATE."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.fault: tuple[int, str] | None = None
        """The error of each statement."""
        self.refused: dict[bytes, tuple[int, str]] = {}
        """The error of each statement that has a line."""

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator["FakeServer"]:
        """A transaction."""
        yield self

    async def execute(self, _statement: sa.Executable, parameters: Mapping[str, str]) -> None:
        """Insert the lines of a statement."""
        text = bytes.fromhex(parameters["lines"])
        faults = [fault for line, fault in self.refused.items() if line in text]
        if fault := self.fault or next(iter(faults), None):
            raise server_error(*fault)
        self.lines += [orjson.dumps(line) for line in orjson.loads(text)]


def server_error(code: int, state: str) -> DBAPIError:
    """An error as SQLAlchemy raises it for a number that the drivers do not know."""
    error = Exception(code, "text")
    error.sqlstate = state  # type: ignore[attr-defined]  # as the drivers set it
    return OperationalError("INSERT", None, error)
