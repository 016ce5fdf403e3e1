"""Splits the rows of a batch: RAW_DATA gets all of them, CLEAN_DATA the clean ones."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row

TableRow = dict[str, Any]
"""A row for a table: column to value, with its key (epoch, number, row_no)."""


class RowSplitter:
    """Splits one batch, chunk by chunk. `received`, `cleaned` and `rejected` (by reason) count its rows so far."""

    def __init__(self, dataset: Dataset, epoch: int, number: int) -> None:
        self._dataset = dataset
        self._batch = {"epoch": epoch, "number": number}
        self.received = 0
        self.cleaned = 0
        self.rejected: Counter[str] = Counter()

    def split(self, rows: Iterable[Row]) -> tuple[list[TableRow], list[TableRow]]:
        """The next rows of the batch, for RAW_DATA and for CLEAN_DATA. `row_no` counts from 0 through the batch."""
        raw: list[TableRow] = []
        clean: list[TableRow] = []
        for row in rows:
            values, rest = self._dataset.convert(row)
            table_row = {**self._batch, "row_no": self.received, **values}
            raw.append({**table_row, "rest": rest or None})
            self.received += 1
            if reason := rejection(self._dataset, values):
                self.rejected[reason] += 1
            else:
                clean.append(table_row)
        self.cleaned += len(clean)
        return raw, clean
