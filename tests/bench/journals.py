"""Measures the journal beside one in SQLite with a write-ahead log: `python -m bench.journals FILE [FOLDER]`.

The result is a table of milliseconds for each group of requests. It is printed, and written to FILE. The journals are
in FOLDER, or in the current one, so that a disk and not the memory is measured.
"""

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import orjson
import uvloop

from veleta.dataset import load_dataset
from veleta_inference.adapters.journal import READ_BYTES, JournalFolder
from veleta_inference.domain.journal_lines import Portion
from veleta_inference.ports import Journal

GROUPS, APPENDS = (1, 16, 64), 2_000
LIMIT = 1024**3
HEAD = """| requests in a group | sync | journal | append, median | append, p99 | append, CPU | read and delete |
|---|---|---|---|---|---|---|"""


class SqliteJournal:
    """`Journal` in SQLite with a write-ahead log, as small as it can be: without a bound and without owners."""

    def __init__(self, folder: Path, *, sync: bool) -> None:
        self._sync = sync
        self._thread = ThreadPoolExecutor(1, "sqlite")
        self._database = sqlite3.connect(folder / "journal.db", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}",
            "CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, line BLOB NOT NULL)",
        ):
            self._database.execute(statement)
        self._last = 0

    async def append(self, lines: Sequence[bytes]) -> None:
        """Insert lines by one transaction, in a thread if it syncs."""
        if self._sync:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, lines)
        else:
            self._insert(lines)

    def read(self) -> Portion:
        """The oldest lines."""
        lines: list[bytes] = []
        size = 0
        for number, line in self._database.execute("SELECT id, line FROM lines ORDER BY id"):
            lines.append(line)
            size += len(line)
            self._last = number
            if size >= READ_BYTES:
                break
        return Portion(size, lines)

    def acknowledge(self, _portion: Portion) -> None:
        """Delete the lines that `read` returned."""
        self._database.execute("DELETE FROM lines WHERE id <= ?", (self._last,))

    def adopt(self) -> None:
        """There is one process."""

    def check(self) -> None:
        """Never full."""

    def close(self) -> None:
        """Close the database."""
        self._thread.shutdown()
        self._database.close()

    def _insert(self, lines: Sequence[bytes]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO lines (line) VALUES (?)", ((line,) for line in lines))
        self._database.execute("COMMIT")


@dataclass
class Subject:
    """A journal that is measured, and the seconds of its appends."""

    name: str
    journal: Journal
    appends: list[float] = field(default_factory=list)
    cpu: float = 0.0

    async def append(self, lines: Sequence[bytes]) -> None:
        """Append one group."""
        start, cpu = time.perf_counter(), time.process_time()
        await self.journal.append(lines)
        self.cpu += time.process_time() - cpu
        self.appends.append(time.perf_counter() - start)

    def drain(self) -> tuple[int, float]:
        """Read and delete all lines. Returns how many there were, and the seconds."""
        start, read = time.perf_counter(), 0
        while (portion := self.journal.read()).size:
            read += len(portion.lines)
            self.journal.acknowledge(portion)
        return read, time.perf_counter() - start


def main() -> None:
    """Measure, print and write the table."""
    top = Path(sys.argv[2]) if sys.argv[2:] else Path()
    rows = [HEAD]
    for group, sync in product(GROUPS, (True, False)):
        with tempfile.TemporaryDirectory(prefix="journals-", dir=top) as folder:
            rows += uvloop.run(measure(Path(folder), group, sync=sync))
    text = "\n".join(rows) + "\n"
    Path(sys.argv[1]).write_text(text)
    print(text)


async def measure(folder: Path, group: int, *, sync: bool) -> list[str]:
    """Two rows of the table: append groups to both journals in turn, and then read and delete all lines."""
    subjects = (
        Subject("files", JournalFolder(folder, LIMIT, sync=sync)),
        Subject("sqlite", SqliteJournal(folder, sync=sync)),
    )
    lines = [line(number) for number in range(group)]
    for _, subject in product(range(APPENDS), subjects):
        await subject.append(lines)
    return [row(subject, group, sync=sync) for subject in subjects]


def row(subject: Subject, group: int, *, sync: bool) -> str:
    """The row of a journal, after its lines were read and deleted."""
    read, seconds = subject.drain()
    subject.journal.close()
    if read != APPENDS * group:
        sys.exit(f"bench: {subject.name}: {read} of {APPENDS * group} lines were read")
    middle, p99 = statistics.median(subject.appends), statistics.quantiles(subject.appends, n=100)[-1]
    times = " | ".join(f"{1000 * each:.3f}" for each in (middle, p99, subject.cpu / APPENDS, seconds / APPENDS))
    return f"| {group} | {'group' if sync else 'none'} | {subject.name} | {times} |"


def line(number: int) -> bytes:
    """A line as inference writes it."""
    example = load_dataset("real_estate").example
    time_ = "2026-01-02 03:04:05.678901"
    request = {"request_id": f"{number:036}", "client_request_id": None, "received_at": time_, "answered_at": time_}
    answer = {"model_version": 7, "latency_ms": 1.25, "http_status": 200, "items": [{**example, "prediction": 1.5}]}
    return orjson.dumps({**request, **answer})


if __name__ == "__main__":
    main()
