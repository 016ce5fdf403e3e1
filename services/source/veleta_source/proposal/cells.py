"""Reads the cells of an input file as a start reads them, each different text of a column once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from veleta.column_names import column_key
from veleta.input.faults import FaultyInput
from veleta.input.input_rows import SAMPLE_ROWS, open_table
from veleta.values import decimal_mark

MAX_ROWS = 200_000
MAX_CELLS = 20_000_000
"""So many rows are looked at, and fewer of a file with more than 100 columns."""


@dataclass(frozen=True)
class Cells:
    """One column: its different texts, without spaces around them, and the position of each row's text in them."""

    header: str
    position: int
    texts: Sequence[str]
    codes: np.ndarray
    sampled: int
    """How many of the texts are in the rows in which a start looks for decimal marks."""

    @property
    def counts(self) -> np.ndarray:
        """How many rows have each text."""
        return np.bincount(self.codes, minlength=len(self.texts))


@dataclass(frozen=True)
class FileCells:
    """The first rows of a file. `skipped` of them have another number of cells than the header."""

    columns: Sequence[Cells]
    rows: int
    skipped: int
    is_whole: bool


def read_cells(path: Path, target: str) -> FileCells:
    """The cells of a CSV file (plain, .gz or .zip) or of a Parquet file. `target` is one of its headers.

    Raises:
        FaultyInput: the file cannot be read, or has no rows.
    """
    with open_table(path, lambda cells: column_key(target) in map(column_key, cells)) as table:
        width = len(table.header)
        limit = max(1, min(MAX_ROWS, MAX_CELLS // max(1, width)))
        codes: list[list[int]] = [[] for _ in table.header]
        texts: list[dict[str, int]] = [{} for _ in table.header]
        blank = [None] * width
        skipped, sampled, rows = 0, [0] * width, table.rows(_looks_like_row(table.header, target))
        for number, (_, cells) in enumerate(islice(rows, limit)):
            if cells is None or not _fits(cells, table.header):
                skipped += 1
            else:
                for cell, known, column in zip([*cells, *blank][:width], texts, codes, strict=True):
                    text = cell.strip() if isinstance(cell, str) else "" if cell is None else str(cell)
                    column.append(known.setdefault(text, len(known)))
            if number < SAMPLE_ROWS:
                sampled = [len(known) for known in texts]
        is_whole = next(rows, None) is None
        if table.faults:
            raise FaultyInput(path, table.faults)
    if not any(codes):
        fault = (
            f"none of its {skipped:,} rows has as many cells as the header" if skipped else "has a header, but no rows"
        )
        raise FaultyInput(path, [fault])
    columns = [
        Cells(header.strip(), position, list(known), np.array(column), count)
        for position, (header, known, column, count) in enumerate(zip(table.header, texts, codes, sampled, strict=True))
    ]
    return FileCells(columns, len(codes[0]) + skipped, skipped, is_whole)


def _fits(cells: Sequence[object], header: Sequence[str]) -> bool:
    """Whether a start uses a row with so many cells: some at the end may be missing or too many if they are empty."""
    if len(cells) == len(header):
        return True
    named = max((i + 1 for i, name in enumerate(header) if name.strip()), default=0)
    return named <= len(cells) and not any(str(cell or "").strip() for cell in cells[len(header) :])


def _looks_like_row(header: Sequence[str], target: str) -> Callable[[Sequence[object]], bool]:
    """Whether cells have as many values as the header, and a number or nothing as the target."""
    keys = [column_key(name) for name in header]
    position = keys.index(column_key(target)) if column_key(target) in keys else 0

    def looks_like_row(cells: Sequence[object]) -> bool:
        if len(cells) != len(header):
            return False
        text = str(cells[position]).strip()
        return not text or any(character.isdigit() for character in text) or bool(decimal_mark(text))

    return looks_like_row
