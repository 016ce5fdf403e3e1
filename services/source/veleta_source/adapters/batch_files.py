"""The batches as files, ready to send. So the use of memory does not depend on their size."""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import orjson

from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta_source.domain.batch_assignment import BatchAssigner, Row
from veleta_source.domain.row_generator import RowGenerator

T = TypeVar("T")
ROWS_PER_REPORT = 10_000
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class BatchFile:
    """`handlers.Batch` in one file."""

    path: Path
    size: int

    def chunks(self) -> Iterator[bytes]:
        """See `handlers.Batch.chunks`."""
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def split_csv(
    csv_file: Path, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]
) -> list[BatchFile]:
    """Split a CSV file into the batches of the dataset, by number. The content of `folder` is replaced.

    `report_progress` is called now and then with the number of lines read.

    Raises:
        Stop: the file cannot be read or split.
    """
    try:
        with csv_file.open(encoding="utf-8-sig", newline="") as file:
            batches = _write(_assigned_rows(csv.reader(file), dataset, report_progress), folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Stop(f"cannot split {csv_file}: {error}") from error
    if not batches:
        raise Stop(f"{csv_file} has no complete row that matches a batch rule")
    return batches


def generate_batches(
    scale: float, seed: int, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]
) -> list[BatchFile]:
    """Generate the batches of the dataset, as `split_csv` splits a file.

    Raises:
        Stop: the dataset has no valid generator, or the files cannot be written.
    """
    batches = RowGenerator(dataset, scale, seed).batches()
    rows = ((place, row) for place, batch in batches for row in batch)
    try:
        return _write(_reported(rows, report_progress), folder)
    except OSError as error:
        raise Stop(f"cannot write the batches to {folder}: {error}") from error


def _write(rows: Iterable[tuple[int, Row]], folder: Path) -> list[BatchFile]:
    """Write each row to the file of its place. Places without rows have no file, so later batches move up."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files: dict[int, BinaryIO] = {}
    with ExitStack() as open_files:
        for place, row in rows:
            if place in files:
                files[place].write(b",")
            else:
                files[place] = open_files.enter_context((folder / f"{place}.json").open("wb"))
            files[place].write(orjson.dumps(row))
    paths = [folder / f"{place}.json" for place in sorted(files)]
    return [BatchFile(path, path.stat().st_size) for path in paths]


def _assigned_rows(
    lines: Iterator[list[str]], dataset: Dataset, report_progress: Callable[[int], None]
) -> Iterator[tuple[int, Row]]:
    header = next(lines, None)
    if not header:
        raise Stop("the CSV has no header")
    assigner = BatchAssigner(dataset, header)
    return filter(None, map(assigner.assign, _reported(lines, report_progress)))


def _reported(items: Iterable[T], report_progress: Callable[[int], None]) -> Iterator[T]:
    for number, item in enumerate(items):
        if number % ROWS_PER_REPORT == 0:
            report_progress(number)
        yield item
