"""Sorts the rows of a batch: all go to RAW as received, the clean ones to CLEAN, the others are counted."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row

SqlRow = dict[str, Any]


class Sorting:
    """The rows of one batch on their way to the tables. `cleaned` and `rejected` count what passed through."""

    def __init__(self, dataset: Dataset, epoch: int, number: int) -> None:
        self._dataset = dataset
        self._key = {"epoch": epoch, "number": number}
        self.received = 0
        self.cleaned = 0
        self.rejected: Counter[str] = Counter()

    def sort(self, rows: Iterable[Row]) -> tuple[list[SqlRow], list[SqlRow]]:
        """The next rows of the batch as rows of RAW and rows of CLEAN; `row_no` counts from 0 through the batch."""
        raw: list[SqlRow] = []
        clean: list[SqlRow] = []
        for row in rows:
            values, rest = self._dataset.convert(row)
            kept = {**self._key, "row_no": self.received, **values}
            raw.append({**kept, "rest": rest or None})
            self.received += 1
            if reason := rejection(self._dataset, values):
                self.rejected[reason] += 1
            else:
                clean.append(kept)
        self.cleaned += len(clean)
        return raw, clean
