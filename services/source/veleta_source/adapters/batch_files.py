"""Write each batch to a file, so that the use of memory does not depend on its size."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from veleta.dataset import Dataset
from veleta.errors import Retry, Stop
from veleta.input.batch_assignment import Row
from veleta.input.input_rows import open_rows, reported
from veleta.input.row_counts import FEW_REASONS, RowCounts
from veleta_source.domain.row_generator import RowGenerator
from veleta_source.handlers import BATCHES, BatchFiles


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
                batches = _write(rows.assigned(report_progress=report_progress), self.folder)
                rows.require_no_faults()
                rows.require_usable_rows()
                return BatchFiles(batches, rows.counts, rows.summary(FEW_REASONS))
        except OSError as error:
            raise Stop(f"cannot split {self.path}: {error}") from error


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
    for place, row in rows:
        counts.add_complete(place)
        yield place, row


def _clear(folder: Path, kept: Collection[str] = ()) -> None:
    """Delete what is in a folder, except the `kept` names."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write(rows: Iterable[tuple[int, Row]], folder: Path) -> list[Path]:
    """Write each row to the file of its place. Places without rows have no file, so later batches move up.

    After an error nothing is left: the disk may be full.
    """
    folder.mkdir(exist_ok=True)
    files: dict[int, BinaryIO] = {}
    try:
        with ExitStack() as open_files:
            for place, row in rows:
                if place in files:
                    files[place].write(b",")
                else:
                    files[place] = open_files.enter_context((folder / f"{place}.json").open("wb"))
                files[place].write(orjson.dumps(row))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return [folder / f"{place}.json" for place in sorted(files)]
