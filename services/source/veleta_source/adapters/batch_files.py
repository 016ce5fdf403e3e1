"""Write each batch to a file, so that the use of memory does not depend on its size."""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TypeVar

import orjson

from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta_source.domain.batch_assignment import BatchAssigner, Row
from veleta_source.domain.row_generator import RowGenerator

T = TypeVar("T")
ROWS_PER_REPORT = 10_000


def split_csv(csv_file: Path, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]) -> list[Path]:
    """Split a CSV file into the batches of the dataset, by number. The content of `folder` is replaced.

    `report_progress` is called now and then with the number of lines read. Raises Stop if the file cannot be split.
    """
    try:
        with csv_file.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            assigner = BatchAssigner(dataset, next(lines, []))
            rows = map(assigner.assign, _reported(lines, report_progress))
            batches = _write(filter(None, rows), folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Stop(f"cannot split {csv_file}: {error}") from error
    if not batches:
        raise Stop(f"{csv_file} has no complete row that matches a batch rule")
    return batches


def generate_batches(
    scale: float, seed: int, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]
) -> list[Path]:
    """Generate the batches of the dataset, as `split_csv` splits a file. Raises Stop."""
    batches = RowGenerator(dataset, scale, seed).batches()
    rows = ((place, row) for place, batch in batches for row in batch)
    try:
        return _write(_reported(rows, report_progress), folder)
    except OSError as error:
        raise Stop(f"cannot write the batches to {folder}: {error}") from error


def _write(rows: Iterable[tuple[int, Row]], folder: Path) -> list[Path]:
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
    return [folder / f"{place}.json" for place in sorted(files)]


def _reported(items: Iterable[T], report_progress: Callable[[int], None]) -> Iterator[T]:
    for number, item in enumerate(items):
        if number % ROWS_PER_REPORT == 0:
            report_progress(number)
        yield item
