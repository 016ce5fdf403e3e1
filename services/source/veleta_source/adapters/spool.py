"""The batches on disk, ready to send: memory stays low whatever the size of the CSV."""

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from veleta.dataset import Dataset
from veleta.errors import Stop
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
    """The batches by number: each one's rows are written to a file below `folder`, which is emptied first.

    `report` is called now and then with the number of lines read.

    Raises:
        Stop: the file cannot be read or split; the message says why.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        places = _write(csv_file, folder, dataset, report)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Stop(f"cannot split {csv_file}: {error}") from error
    if not places:
        raise Stop(f"{csv_file} has no complete row that a batch takes")
    paths = [_path(folder, place) for place in sorted(places)]
    return [Batch(path, path.stat().st_size) for path in paths]


def _write(csv_file: Path, folder: Path, dataset: Dataset, report: Callable[[int], None]) -> set[int]:
    files: dict[int, BinaryIO] = {}
    with csv_file.open(encoding="utf-8-sig", newline="") as source, ExitStack() as open_files:
        for place, row in _placed(csv.reader(source), dataset, report):
            if place in files:
                files[place].write(b",")
            else:
                files[place] = open_files.enter_context(_path(folder, place).open("wb"))
            files[place].write(orjson.dumps(row))
    return set(files)


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
