"""Read the rows of an input file, assign each to its batch, and count those that are left out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, TypeVar

from veleta.dataset import Dataset
from veleta.input.batch_assignment import BatchAssigner, Cells, Row, looks_like_row
from veleta.input.csv_table import CsvTable
from veleta.input.decimal_marks import find_decimal_marks
from veleta.input.faults import FaultyInput
from veleta.input.header import match_header
from veleta.input.input_file import is_parquet, open_text, require_file
from veleta.input.row_counts import MAX_REASONS, Reason, RowCounts

T = TypeVar("T")
ROWS_PER_REPORT = 10_000
SAMPLE_ROWS = 10_000
"""The first rows, which show the decimal marks."""
MALFORMED = Reason("malformed quotes or a huge cell")
NumberedCells = tuple[int, Cells | None]
"""The number of a row's first line, and its cells. None: its quotes are malformed."""


class Table(Protocol):
    """The rows of a file. `noun` is what their numbers count."""

    noun: str
    header: list[str]

    @property
    def characters(self) -> int:
        """How many characters of text were read so far. 0 if it is no text."""

    @property
    def faults(self) -> Sequence[str]:
        """The faults of what was read so far."""

    def rows(self, is_row: Callable[[Cells], bool]) -> Iterator[NumberedCells]:
        """The rows. `is_row` decides whether cells look like a row. Raises FaultyInput."""


class InputRows:
    """The rows of one file. `counts` has the counts of those that were read so far."""

    def __init__(self, path: Path, table: Table, dataset: Dataset) -> None:
        self._path = path
        self._table = table
        self._dataset = dataset
        self.header = match_header(dataset, table.header)
        self.counts = RowCounts(table.noun)
        self.position = -1
        """That of the row which `assigned` read last, from 0, blank lines left out."""
        self._rows = table.rows(partial(looks_like_row, dataset, self.header))

    @property
    def faults(self) -> list[str]:
        """The faults of the header and of the rows that were read so far. A file that is not text has no header."""
        of_table = list(self._table.faults)
        return of_table if of_table and not self.header.positions else [*self.header.faults, *of_table]

    def require_no_faults(self) -> None:
        """Raises FaultyInput if there are faults so far."""
        if faults := self.faults:
            raise FaultyInput(self._path, faults)

    def skip(self, limit: int, characters: int) -> bool:
        """Read up to `limit` rows or `characters` without the values. Returns whether the file ends before.

        Raises:
            FaultyInput: the rest of the file cannot be read.
        """
        first = self._table.characters
        for number, _ in enumerate(self._rows, 1):
            if number == limit or self._table.characters - first > characters:
                return False
        return True

    def assigned(
        self, limit: int | None = None, report_progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[int, Row]]:
        """The place of its batch and the row, for each usable row among the next `limit` ones. Counts all of them.

        The header must have no faults. It ends at a fault of the rows. `report_progress` is called now and then with
        the number of rows read.

        Raises:
            FaultyInput: the rest of the file cannot be read.
        """
        sample = list(islice(self._rows, SAMPLE_ROWS))
        marks = find_decimal_marks(
            self._dataset, self.header.positions, (cells for _, cells in sample if cells is not None)
        )
        assigner = BatchAssigner(self._dataset, self.header, marks)
        self._rows = chain(sample, self._rows)
        for number, cells in reported(islice(self._rows, limit), report_progress):
            if self._table.faults:
                return
            self.position += 1
            assigned = [MALFORMED] if cells is None else assigner.assign(cells)
            if isinstance(assigned, list):
                self.counts.add_left_out(number, assigned)
            else:
                self.counts.add_usable(number, assigned.place, assigned.gaps)
                yield assigned.place, assigned.row

    def require_usable_rows(self) -> None:
        """Raises FaultyInput, with the reasons, if no row belongs to a batch."""
        if not self.counts.total:
            raise FaultyInput(self._path, ["has a header, but no rows"])
        if not self.counts.usable:
            raise FaultyInput(self._path, [f"has no usable row; {self.summary()}"])

    def summary(self, reasons: int = MAX_REASONS) -> str:
        """One line: the counts, the batches without rows, and the columns that are ignored."""
        ignored = f"columns ignored: {', '.join(self.header.ignored)}" if self.header.ignored else ""
        empty = self.counts.empty_batches([rule.place for rule in self._dataset.source]) if self.counts.usable else ""
        return "; ".join(filter(None, [self.counts.summary(reasons), empty, ignored]))


def reported(items: Iterable[T], report_progress: Callable[[int], None]) -> Iterator[T]:
    """The items. `report_progress` is called now and then with their number so far."""
    for number, item in enumerate(items):
        if number % ROWS_PER_REPORT == 0:
            report_progress(number)
        yield item


@contextmanager
def open_rows(path: Path, dataset: Dataset) -> Iterator[InputRows]:
    """The rows of a CSV file (plain, .gz or .zip) or of a Parquet file. Raises FaultyInput."""
    with open_table(path, lambda cells: len(match_header(dataset, cells).positions)) as table:
        yield InputRows(path, table, dataset)


@contextmanager
def open_table(path: Path, count_columns: Callable[[Sequence[str]], int]) -> Iterator[Table]:
    """The cells of such a file. `count_columns` counts the names of columns in a header. Raises FaultyInput."""
    require_file(path)
    if is_parquet(path):
        from veleta.input.parquet_table import ParquetTable  # noqa: PLC0415 - pyarrow takes half a second

        yield ParquetTable(path)
        return
    with open_text(path) as text:
        yield CsvTable(path, text, count_columns)
