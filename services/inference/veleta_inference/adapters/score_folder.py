"""The folder beside an output file with the chunks that are complete, from which a job goes on after a kill."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from veleta.errors import Stop
from veleta.files import sync_folder, write_synced
from veleta_inference.adapters.scored_chunks import ScoredChunk, as_csv

ERRORS_HEAD = ("row", "line", "column", "message")
COPIED_BYTES = 1 << 20
LOCK_SECONDS = 10.0
"""A child of a job that was killed ends within this time: it completes its chunk first."""


class ScoreFolder:
    """The chunks of one output file. The last file of a chunk has the number of its rows without a price."""

    def __init__(self, out: Path) -> None:
        """`out` is the output file, which ends in .csv or .parquet."""
        self.out = out
        self.errors = out.with_name(f"{out.name}.errors.csv")
        self.path = out.with_name(f".{out.name}.chunks")
        self._job = self.path / "job.json"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other jobs for the same output away. Returns the descriptor that holds the lock.

        Raises:
            Stop: another job runs. The children of one that was killed have some seconds to end.
        """
        self.path.mkdir(exist_ok=True)
        end = time.monotonic() + LOCK_SECONDS
        with (self.path / "lock").open("w") as lock:
            while not _lock(lock):
                if time.monotonic() > end:
                    raise Stop(f"OUT={self.out}: another make score writes it")
                time.sleep(LOCK_SECONDS / 100)
            yield lock.fileno()

    def kept_job(self) -> dict[str, Any] | None:
        """What the chunks that are kept belong to. None if there are none."""
        try:
            job: dict[str, Any] = json.loads(self._job.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return job

    def begin(self, job: Mapping[str, object]) -> None:
        """Delete all chunks, and store what the next ones belong to."""
        self._job.unlink(missing_ok=True)
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        write_synced(self._job, json.dumps(job).encode())

    def refused(self, first: int) -> int | None:
        """How many rows of the chunk that begins with row `first` have no price. None: it is not complete."""
        try:
            return int(self._refused(first).read_bytes())
        except FileNotFoundError:
            return None

    def complete(self) -> int:
        """How many chunks are complete."""
        return len([*self.path.glob("*.refused")])

    def write(self, first: int, scored: ScoredChunk) -> None:
        """Store a complete chunk. Each of its files appears at once."""
        write_synced(self._rows(first), scored.rows)
        write_synced(self._faults(first), scored.faults)
        write_synced(self._refused(first), str(scored.refused).encode())

    def finish(self, firsts: Sequence[int], schema: pa.Schema) -> int:
        """Write the output from these chunks, in this order, and delete the folder. Returns the rows without a price.

        The file of errors is written before it, if there are such rows. An output that is there is not replaced.
        """
        refused = sum(self.refused(first) or 0 for first in firsts)
        rows = self.path / "rows"
        if self.out.suffix == ".parquet":
            with pq.ParquetWriter(rows, schema) as writer:
                for first in firsts:
                    writer.write_table(pq.read_table(self._rows(first), schema=schema))
        else:
            _concatenate(rows, schema.names, map(self._rows, firsts))
        if refused:
            faults = self.path / "faults"
            _concatenate(faults, ERRORS_HEAD, map(self._faults, firsts))
            _publish(faults, self.errors)
        if self.out.exists():
            raise Stop(f"OUT={self.out}: another program wrote it meanwhile; the prices are in {self.path}")
        _publish(rows, self.out)
        shutil.rmtree(self.path)
        return refused

    def _rows(self, first: int) -> Path:
        return self.path / f"{first}{self.out.suffix}"

    def _faults(self, first: int) -> Path:
        return self.path / f"{first}.errors.csv"

    def _refused(self, first: int) -> Path:
        return self.path / f"{first}.refused"


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _concatenate(path: Path, head: Sequence[str], parts: Iterable[Path]) -> None:
    with path.open("wb") as file:
        file.write(as_csv([head]))
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file, COPIED_BYTES)


def _publish(path: Path, name: Path) -> None:
    """Give a complete file its name, so that it is there also after a power failure."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.rename(name)
    sync_folder(name.parent)
