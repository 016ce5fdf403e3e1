"""Write each batch to a file, so that the use of memory does not depend on its size."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import orjson

from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta.input.batch_assignment import Row
from veleta.input.input_rows import open_rows, reported
from veleta.input.row_counts import FEW_REASONS, RowCounts
from veleta_source.domain.row_generator import RowGenerator
from veleta_source.handlers import BatchFiles


def split_file(path: Path, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]) -> BatchFiles:
    """Split a CSV or Parquet file into the batches of the dataset. The content of `folder` is replaced.

    `report_progress` is called now and then with the number of rows read. Raises Stop if the file cannot be split.
    """
    try:
        with open_rows(path, dataset) as rows:
            rows.require_no_faults()
            batches = _write(rows.assigned(report_progress=report_progress), folder)
            rows.require_no_faults()
            rows.require_usable_rows()
            return BatchFiles(batches, rows.counts, rows.summary(FEW_REASONS))
    except OSError as error:
        raise Stop(f"cannot split {path}: {error}") from error


def generate_batches(
    scale: float, seed: int, folder: Path, dataset: Dataset, report_progress: Callable[[int], None]
) -> BatchFiles:
    """Generate the batches of the dataset, as `split_file` splits a file. Raises Stop."""
    counts = RowCounts("row")
    batches = RowGenerator(dataset, scale, seed).batches()
    rows = ((place, row) for place, batch in batches for row in batch)
    try:
        paths = _write(reported(_counted(rows, counts), report_progress), folder)
    except OSError as error:
        raise Stop(f"cannot write the batches to {folder}: {error}") from error
    return BatchFiles(paths, counts, f"{counts.total:,} generated rows")


def _counted(rows: Iterable[tuple[int, Row]], counts: RowCounts) -> Iterator[tuple[int, Row]]:
    for place, row in rows:
        counts.add_complete(place)
        yield place, row


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
