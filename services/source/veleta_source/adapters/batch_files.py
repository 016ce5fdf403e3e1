"""Write each batch to a file, so that the use of memory does not depend on its size."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from veleta.dataset import Dataset
from veleta.errors import Retry, Stop
from veleta.input.batch_assignment import Row
from veleta.input.input_rows import open_rows, reported
from veleta.input.row_counts import FEW_REASONS, RowCounts
from veleta_source.domain.batch_division import in_equal_parts, numbered
from veleta_source.domain.row_generator import RowGenerator
from veleta_source.handlers import BATCHES, BatchFiles

MAX_ROWS = 500_000
"""The most rows of a batch. A larger one is divided."""
BUFFERED = 65_536
"""Bytes of a batch that are kept until they are written: a file may have thousands of batches."""


@dataclass(frozen=True)
class SplitFile:
    """`handlers.Input` of a CSV or Parquet file, which is split once: each epoch has its rows."""

    path: Path
    folder: Path
    dataset: Dataset
    repeats = True

    def doing(self, _epoch: int) -> str:
        return "splitting"

    def create(self, _epoch: int, _kept: Collection[int], report_progress: Callable[[int], None]) -> BatchFiles:
        try:
            with open_rows(self.path, self.dataset) as rows:
                rows.require_no_faults()
                _clear(self.folder)
                assigned = rows.assigned(report_progress=report_progress)
                batches = _write(assigned, self.folder) if self.dataset.source else self._divide(assigned)
                rows.require_no_faults()
                rows.require_usable_rows()
                return BatchFiles(batches, rows.counts, rows.summary(FEW_REASONS))
        except OSError as error:
            raise Stop(f"cannot split {self.path}: {error}") from error

    def _divide(self, assigned: Iterable[tuple[int, Row]]) -> list[Path]:
        """Write the rows to the batches of [batches], or to equal parts."""
        rows, rule = (row for _, row in assigned), self.dataset.batches
        if rule.by is not None or rule.rows is not None:
            return _write(numbered(rows, self.dataset), self.folder)
        lines, total = self.folder / "rows", 0
        try:
            with lines.open("wb") as file:
                for row in rows:
                    file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                    total += 1
            with lines.open("rb") as file:
                return _write_encoded(in_equal_parts(map(bytes.rstrip, file), total), self.folder)
        finally:
            lines.unlink(missing_ok=True)


@dataclass(frozen=True)
class GeneratedRows:
    """`handlers.Input` of generated rows: a folder for each epoch."""

    scale: float
    seed: int
    folder: Path
    dataset: Dataset
    repeats = False

    def doing(self, epoch: int) -> str:
        return f"generating epoch {epoch}"

    def create(self, epoch: int, kept: Collection[int], report_progress: Callable[[int], None]) -> BatchFiles:
        counts = RowCounts("row")
        batches = RowGenerator(self.dataset, self.scale, self.seed, epoch).batches()
        rows = ((place, row) for place, batch in batches for row in batch)
        try:
            _clear(self.folder, {str(each) for each in kept})
            paths = _write(reported(_counted(rows, counts), report_progress), self.folder / str(epoch))
        except OSError as error:
            raise Retry(BATCHES, f"cannot write those of epoch {epoch} to {self.folder}: {error}") from error
        return BatchFiles(paths, counts, f"{counts.total:,} generated rows of epoch {epoch}")


def _counted(rows: Iterable[tuple[int, Row]], counts: RowCounts) -> Iterator[tuple[int, Row]]:
    for number, (place, row) in enumerate(rows, 1):
        counts.add_usable(number, place)
        yield place, row


def _clear(folder: Path, kept: Collection[str] = ()) -> None:
    """Delete what is in a folder, except the `kept` names."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write(rows: Iterable[tuple[int, Row]], folder: Path) -> list[Path]:
    """Write each row to the file of its place: see `_write_encoded`."""
    return _write_encoded(((place, orjson.dumps(row)) for place, row in rows), folder)


def _write_encoded(rows: Iterable[tuple[int, bytes]], folder: Path) -> list[Path]:
    """Write each row, as JSON, to the file of its place. Places without rows have no file, so later batches move up.

    After an error nothing is left: the disk may be full.
    """
    folder.mkdir(exist_ok=True)
    counts, buffers = Counter[int](), dict[tuple[int, int], bytearray]()
    try:
        for place, row in rows:
            part, position = divmod(counts[place], MAX_ROWS)
            counts[place] += 1
            buffer = buffers.setdefault((place, part), bytearray())
            buffer += b"," + row if position else row
            if len(buffer) > BUFFERED:
                _append(folder, (place, part), buffer)
        for key, buffer in buffers.items():
            _append(folder, key, buffer)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return [_path(folder, key) for key in sorted(buffers)]


def _append(folder: Path, key: tuple[int, int], buffer: bytearray) -> None:
    with _path(folder, key).open("ab") as file:
        file.write(buffer)
    buffer.clear()


def _path(folder: Path, key: tuple[int, int]) -> Path:
    """The file of a part of a batch."""
    place, part = key
    return folder / (f"{place}.json" if part == 0 else f"{place}-{part}.json")
