"""Read the rows of a Parquet file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from veleta.input.faults import FaultyInput

ROWS_PER_BLOCK = 10_000
_DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises for a damaged file."""


class ParquetTable:
    """The rows of one Parquet file, as `CsvTable` reads those of a CSV file."""

    noun = "row"
    faults: Sequence[str] = ()
    characters = 0

    def __init__(self, path: Path) -> None:
        """Raises FaultyInput."""
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except _DAMAGED as error:
            raise FaultyInput(path, [f"is a damaged Parquet file: {error}"]) from error
        self.header = list(self._file.schema_arrow.names)
        self.count: int = self._file.metadata.num_rows
        """The number of rows."""

    def rows(self, _is_row: object) -> Iterator[tuple[int, Sequence[object]]]:
        """The number of each row, from 1, and its cells. Dates and decimals have the form that CSV gives them."""
        number = 0
        try:
            for block in self.blocks(ROWS_PER_BLOCK):
                for cells in cells_of(block):
                    number += 1
                    yield number, cells
        except _DAMAGED as error:
            raise self._damaged(number + 1, error) from error

    def blocks(self, rows: int) -> Iterator[pa.RecordBatch]:
        """All rows with their types, in blocks of at most so many rows. Raises FaultyInput."""
        read = 0
        try:
            for block in self._file.iter_batches(rows):
                yield block
                read += block.num_rows
        except _DAMAGED as error:
            raise self._damaged(read + 1, error) from error

    def _damaged(self, row: int, error: Exception) -> FaultyInput:
        return FaultyInput(self._path, [f"row {row:,}: the Parquet data are damaged: {error}"])


def cells_of(block: pa.RecordBatch) -> Iterator[tuple[object, ...]]:
    """The cells of each row: texts, numbers and nulls. Dates and decimals have the form that CSV gives them."""
    return zip(*(_plain(column).to_pylist() for column in block.columns), strict=True)


def _plain(column: pa.Array) -> pa.Array:
    """A column of texts, numbers and nulls."""
    kind = column.type
    if pa.types.is_temporal(kind) or pa.types.is_boolean(kind) or pa.types.is_binary(kind):
        return column.cast(pa.string())
    return column.cast(pa.float64()) if pa.types.is_decimal(kind) else column
