"""Divides the rows of a file into batches, if the dataset file has no [[source]] rules."""

from collections.abc import Iterable, Iterator
from datetime import date

from veleta.dataset import Dataset
from veleta.input.batch_assignment import Row
from veleta.periods import period_of

EQUAL_PARTS = 6
"""The batches of a file whose dataset file says nothing about them: as many as in the original course project."""


def numbered(rows: Iterable[Row], dataset: Dataset) -> Iterator[tuple[int, Row]]:
    """The place of its batch and the row, by `rows` or `by` of [batches]. The places are ascending, with gaps."""
    rule = dataset.batches
    for position, row in enumerate(rows):
        if rule.by is not None:
            yield period_of(date.fromisoformat(str(row[rule.by])), rule.every), row
        else:
            yield position // (rule.rows or 1), row


def in_equal_parts(rows: Iterable[bytes], total: int) -> Iterator[tuple[int, bytes]]:
    """The place of its batch and the row, for `total` rows in the order of the file."""
    return ((position * EQUAL_PARTS // total, row) for position, row in enumerate(rows))
