"""Splits clean rows into training rows and holdout rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from veleta.dataset import Dataset
from veleta.features import MIN_TRAINING_ROWS, is_held_out
from veleta.left_out import describe_left_out
from veleta_trainer.domain.clean_rows import PROPERTY, CleanBatch, CleanRows
from veleta_trainer.domain.row_limit import BUCKETS, bucket_limit, bucket_of


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

    def limit(self, most: int) -> float:
        """Keep `most` of the training rows, as `bucket_limit` selects them: the share that is kept.

        To be called before `train` is read.
        """
        buckets = [bucket_of(np.asarray(table.column(PROPERTY))) for table in self._train]
        counts = np.bincount(np.concatenate(buckets), minlength=BUCKETS)
        rows = int(counts.sum())
        if rows <= most:
            return 1.0
        limit = bucket_limit(counts, most)
        kept = [each < limit for each in buckets]
        self._train = [table.filter(pa.array(mask)) for table, mask in zip(self._train, kept, strict=True)]
        self._train_numbers = [each[mask] for each, mask in zip(self._train_numbers, kept, strict=True)]
        return sum(map(len, self._train)) / rows

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
        """See `shortage`."""
        return shortage(len(self.train), len(self.holdout), self.received, self.rejected)


def shortage(train: int, holdout: int, received: int, rejected: Mapping[str, int]) -> str:
    """Why so many rows are too few to learn from and to compare. Empty if they are enough.

    `received` and `rejected` are those of `TrainingData`.
    """
    if train >= MIN_TRAINING_ROWS and holdout > 0:
        return ""
    left_out = describe_left_out(received, rejected)
    if received == sum(rejected.values()):
        return f"there is no clean row: {left_out}"
    counts = f"{train:,} clean training rows and {holdout:,} holdout rows"
    few = f"{counts} are too few, {MIN_TRAINING_ROWS} and 1 are needed"
    return f"{few}: {left_out}" if left_out else few
