"""Divides the rows of a file into batches, if the dataset file has no [[source]] rules."""

from collections.abc import Iterable, Iterator
from datetime import date

from veleta.dataset import Dataset, Period
from veleta.input.batch_assignment import Row

EQUAL_PARTS = 6
"""The batches of a file whose dataset file says nothing about them: as many as in the original course project."""
MONTHS_PER_QUARTER = 3


def numbered(rows: Iterable[Row], dataset: Dataset) -> Iterator[tuple[int, Row]]:
    """The place of its batch and the row, by `rows` or `by` of [batches]. The places are ascending, with gaps."""
    rule = dataset.batches
    for position, row in enumerate(rows):
        if rule.by is not None:
            yield period(date.fromisoformat(str(row[rule.by])), rule.every), row
        else:
            yield position // (rule.rows or 1), row


def period(day: date, every: Period) -> int:
    """The number of the day, week (from Monday), month, quarter or year that a day is in. A later one is greater."""
    match every:
        case "day":
            return day.toordinal()
        case "week":
            return (day.toordinal() - 1) // 7
        case "month":
            return day.year * 12 + day.month
        case "quarter":
            return day.year * 4 + (day.month - 1) // MONTHS_PER_QUARTER
        case "year":
            return day.year


def in_equal_parts(rows: Iterable[bytes], total: int) -> Iterator[tuple[int, bytes]]:
    """The place of its batch and the row, for `total` rows in the order of the file."""
    return ((position * EQUAL_PARTS // total, row) for position, row in enumerate(rows))
