"""The batches on disk, ready to send: memory stays low whatever the size of the CSV."""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta_source.domain.market import Market
from veleta_source.domain.splitting import Row, Splitter

LINES_PER_REPORT = 10_000
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Batch:
    """A batch on disk: its rows as JSON objects with commas between, and the file's size in bytes."""

    path: Path
    size: int

    def pieces(self) -> Iterator[bytes]:
        """See `handlers.Batch.pieces`."""
        with self.path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def split(csv_file: Path, folder: Path, dataset: Dataset, report: Callable[[int], None]) -> list[Batch]:
    """The batches of a file by number: each one's rows are written to a file below `folder`, which is emptied first.

    `report` is called now and then with the number of lines read.

    Raises:
        Stop: the file cannot be read or split; the message says why.
    """
    try:
        with csv_file.open(encoding="utf-8-sig", newline="") as source:
            batches = _write(_placed(csv.reader(source), dataset, report), folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Stop(f"cannot split {csv_file}: {error}") from error
    if not batches:
        raise Stop(f"{csv_file} has no complete row that a batch takes")
    return batches


def generate(scale: float, seed: int, folder: Path, dataset: Dataset, report: Callable[[int], None]) -> list[Batch]:
    """The batches that the dataset's generator makes, as `split` gives those of a file.

    Raises:
        Stop: the dataset has no valid generator, or the disk is full.
    """
    made = Market(dataset, scale, seed).batches()
    rows = ((place, row) for place, batch in made for row in batch)
    try:
        return _write(_reported(rows, report), folder)
    except OSError as error:
        raise Stop(f"cannot write the batches to {folder}: {error}") from error


def _write(rows: Iterable[tuple[int, Row]], folder: Path) -> list[Batch]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files: dict[int, BinaryIO] = {}
    with ExitStack() as open_files:
        for place, row in rows:
            if place in files:
                files[place].write(b",")
            else:
                files[place] = open_files.enter_context(_path(folder, place).open("wb"))
            files[place].write(orjson.dumps(row))
    paths = [_path(folder, place) for place in sorted(files)]
    return [Batch(path, path.stat().st_size) for path in paths]


def _reported(rows: Iterable[tuple[int, Row]], report: Callable[[int], None]) -> Iterator[tuple[int, Row]]:
    for number, placed in enumerate(rows):
        if number % LINES_PER_REPORT == 0:
            report(number)
        yield placed


def _placed(lines: Iterator[list[str]], dataset: Dataset, report: Callable[[int], None]) -> Iterator[tuple[int, Row]]:
    header = next(lines, None)
    if not header:
        raise Stop("the CSV has no header")
    splitter = Splitter(dataset, header)
    for number, cells in enumerate(lines):
        if number % LINES_PER_REPORT == 0:
            report(number)
        if placed := splitter.place(cells):
            yield placed


def _path(folder: Path, place: int) -> Path:
    return folder / f"{place}.json"
