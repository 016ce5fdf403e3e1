"""Splits clean rows into training rows and holdout rows."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from veleta.dataset import Dataset
from veleta.features import MIN_TRAINING_ROWS, is_held_out
from veleta.left_out import describe_left_out
from veleta_trainer.domain.clean_rows import PROPERTY, CleanBatch, CleanRows


@dataclass(frozen=True)
class NumberedRows:
    """Rows, and the number of the batch of each in its epoch."""

    rows: CleanRows
    numbers: np.ndarray


class TrainingData:
    """The rows of a recipe: `train` for fitting, `holdout` for comparing champion and challenger.

    `received` and `rejected` (by reason) count the rows, without those that were added for the holdout only.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._train: list[pa.Table] = []
        self._holdout: list[pa.Table] = []
        self._train_numbers: list[np.ndarray] = []
        self._holdout_numbers: list[np.ndarray] = []
        self.received = 0
        self.rejected = Counter[str]()

    def append(self, batch: CleanBatch, number: int, *, holdout_only: bool) -> None:
        """Append the rows of the batch with this number in its epoch; with `holdout_only`, only those of the holdout.

        To be called before `train` and `holdout` are read.
        """
        held = is_held_out(np.asarray(batch.table.column(PROPERTY)))
        self._holdout.append(batch.table.filter(pa.array(held)))
        self._holdout_numbers.append(np.full(held.sum(), number))
        if not holdout_only:
            self._train.append(batch.table.filter(pa.array(~held)))
            self._train_numbers.append(np.full((~held).sum(), number))
            self.received += batch.received
            self.rejected.update(batch.rejected)

    @cached_property
    def train(self) -> CleanRows:
        """The rows to fit on, in the order of their batches."""
        return self._joined(self._train)

    @cached_property
    def holdout(self) -> CleanRows:
        """The rows to compare on."""
        return self._joined(self._holdout)

    def train_numbers(self) -> np.ndarray:
        """The number of the batch of each row of `train`."""
        return np.concatenate(self._train_numbers)

    def numbered_holdout(self) -> NumberedRows:
        """The rows of `holdout` with the number of the batch of each."""
        return NumberedRows(self.holdout, np.concatenate(self._holdout_numbers))

    def _joined(self, tables: list[pa.Table]) -> CleanRows:
        """The rows of tables, which are freed."""
        rows = CleanRows(self._dataset, tables)
        tables.clear()
        pa.default_memory_pool().release_unused()
        return rows

    def shortage(self) -> str:
        """Why the rows are too few to learn from and to compare. Empty if they are enough."""
        if len(self.train) >= MIN_TRAINING_ROWS and len(self.holdout) > 0:
            return ""
        left_out = describe_left_out(self.received, self.rejected)
        if self.received == self.rejected.total():
            return f"there is no clean row: {left_out}"
        counts = f"{len(self.train):,} clean training rows and {len(self.holdout):,} holdout rows"
        few = f"{counts} are too few, {MIN_TRAINING_ROWS} and 1 are needed"
        return f"{few}: {left_out}" if left_out else few
