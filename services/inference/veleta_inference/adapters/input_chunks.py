"""Reads a file in chunks of rows, for Arrow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa

from veleta.dataset import Dataset
from veleta.input.batch_assignment import Cells, looks_like_row
from veleta.input.decimal_marks import find_decimal_marks
from veleta.input.faults import FaultyInput
from veleta.input.header import Header, match_header
from veleta.input.input_rows import MALFORMED, SAMPLE_ROWS, NumberedCells, Table, open_table
from veleta.input.parquet_table import ParquetTable
from veleta_inference.domain.file_rows import Layout
from veleta_inference.domain.served_market import AS_OF

CHUNK_ROWS = 10_000


@dataclass(frozen=True)
class RowFault:
    """What is wrong with a row: its position in the file, from 0, its line in a CSV file, the column and a message."""

    row: int
    line: int | None
    column: str | None
    message: str


@dataclass(frozen=True)
class Chunk:
    """Rows of a file. `first` is the position of the first one, from 0, and `count` their number.

    `batch` has those that have as many cells as the header, `rows` their positions, and `lines` their lines in a CSV
    file. `faults` are those of the others.
    """

    first: int
    count: int
    batch: pa.RecordBatch
    rows: Sequence[int]
    lines: Sequence[int] | None
    faults: Sequence[RowFault]


class ChunkedFile:
    """A file that was looked at: its header, how its numbers are written, and how many rows it has."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        """Reads the whole file once.

        Raises:
            FaultyInput: it cannot be read, lacks a required column, or has no rows.
        """
        self._path = path
        self._dataset = dataset
        self._may_lack = [dataset.target, *(column.name for column in dataset.inputs if not column.required)]
        with open_table(path, lambda cells: len(self._match(cells).positions)) as table:
            self.names = list(table.header)
            self._header = self._match(table.header)
            self._require_no_faults(table)
            rows = table.rows(self._is_row)
            sample = list(islice(rows, SAMPLE_ROWS))
            found = (cells for _, cells in sample if cells is not None)
            marks = find_decimal_marks(dataset, self._header.positions, found)
            self.rows = table.count if isinstance(table, ParquetTable) else len(sample) + sum(1 for _ in rows)
            self._require_no_faults(table)
        if not self.rows:
            raise FaultyInput(path, ["has a header, but no rows"])
        days = [position for position, name in enumerate(self.names) if dataset.market and name.strip() == AS_OF]
        self.layout = Layout(self._header.positions, marks, days[0] if days else None)

    @property
    def ignored(self) -> Sequence[str]:
        """The names that match no column of the dataset."""
        return self._header.ignored

    def chunks(self) -> Iterator[Chunk]:
        """All rows, in their order. The same file has the same chunks. Raises FaultyInput."""
        with open_table(self._path, lambda cells: len(self._match(cells).positions)) as table:
            if isinstance(table, ParquetTable):
                yield from _typed(table)
            else:
                yield from self._texts(table)

    def _texts(self, table: Table) -> Iterator[Chunk]:
        """Those of a CSV file: all values are text. An empty cell is null."""
        rows, first = table.rows(self._is_row), 0
        schema = pa.schema([(name, pa.string()) for name in self.names])
        while read := list(islice(rows, CHUNK_ROWS)):
            whole, faults = self._separate(first, read)
            columns = [
                [cell or None for cell in column] for column in zip(*(cells for _, _, cells in whole), strict=True)
            ]
            columns = columns or [[] for _ in self.names]
            batch = pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=schema)
            positions, lines = [row for row, _, _ in whole], [line for _, line, _ in whole]
            yield Chunk(first, len(read), batch, positions, lines, faults)
            first += len(read)

    def _separate(
        self, first: int, read: Sequence[NumberedCells]
    ) -> tuple[list[tuple[int, int, Cells]], list[RowFault]]:
        """The rows with as many cells as the header, and the faults of the others."""
        whole, faults, width = list[tuple[int, int, Cells]](), list[RowFault](), len(self.names)
        for row, (line, cells) in enumerate(read, first):
            if cells is None:
                faults.append(RowFault(row, line, None, MALFORMED.text))
            elif len(cells) != width and (wrong := self._header.wrong_width(cells)):
                faults.append(RowFault(row, line, None, f"{wrong}: {len(cells)} and not {width}"))
            else:
                whole.append((row, line, [*chain(cells, [None] * width)][:width] if len(cells) != width else cells))
        return whole, faults

    def _match(self, cells: Sequence[str]) -> Header:
        return match_header(self._dataset, cells, self._may_lack)

    def _is_row(self, cells: Cells) -> bool:
        return looks_like_row(self._dataset, self._header, cells)

    def _require_no_faults(self, table: Table) -> None:
        faults = (
            [*table.faults] if table.faults and not self._header.positions else [*self._header.faults, *table.faults]
        )
        if faults:
            raise FaultyInput(self._path, faults)


def _typed(table: ParquetTable) -> Iterator[Chunk]:
    """Those of a Parquet file, with its types."""
    first = 0
    for batch in table.blocks(CHUNK_ROWS):
        yield Chunk(first, batch.num_rows, batch, range(first, first + batch.num_rows), None, ())
        first += batch.num_rows
