"""Splits the rows of a batch: RAW_DATA gets all of them, CLEAN_DATA the clean ones."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from veleta.cleaning import column_of, rejection
from veleta.dataset import Dataset, Row

MAX_VALUE = 40
"""Characters of a value that an example shows."""
TableRow = dict[str, Any]
"""A row for a table: column to value, with its key (epoch, number, row_no)."""


class RowSplitter:
    """Splits one batch, chunk by chunk. `received`, `cleaned` and `rejected` (by reason) count its rows so far.

    `examples` has the first row with each reason, as `row 17: 0`. The number is `row_no` in RAW_DATA.
    """

    def __init__(self, dataset: Dataset, epoch: int, number: int) -> None:
        self._dataset = dataset
        self._batch = {"epoch": epoch, "number": number}
        self.received = 0
        self.cleaned = 0
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def split(self, rows: Iterable[Row]) -> tuple[list[TableRow], list[TableRow]]:
        """The next rows of the batch, for RAW_DATA and for CLEAN_DATA. `row_no` counts from 0 through the batch."""
        raw: list[TableRow] = []
        clean: list[TableRow] = []
        for row in rows:
            values, rest = self._dataset.convert(row)
            table_row = {**self._batch, "row_no": self.received, **values}
            raw.append({**table_row, "rest": rest or None})
            if reason := rejection(self._dataset, values):
                self.rejected[reason] += 1
                self.examples.setdefault(reason, _example(self.received, row, reason))
            else:
                clean.append(table_row)
            self.received += 1
        self.cleaned += len(clean)
        return raw, clean


def _example(number: int, row: Row, reason: str) -> str:
    """A row that is left out: its number and the value that is the reason."""
    value = row.get(column_of(reason))
    if value is None:
        return f"row {number}"
    text = json.dumps(value, ensure_ascii=False)
    return f"row {number}: {text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + '...'}"
