"""Foresees whether a model can be trained on the rows of a file: the trainer uses clean rows only."""

from collections import Counter

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Value
from veleta.features import MIN_TRAINING_ROWS, in_holdout
from veleta.input.batch_assignment import Row
from veleta.left_out import WARNING_SHARE, describe_left_out


class CleanRows:
    """Counts rows as the trainer does."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._received = 0
        self._rejected: Counter[str] = Counter()
        self._training = self._holdout = 0
        self._targets: set[Value] = set()

    def add(self, row: Row) -> None:
        """Count a row of a batch."""
        values, _ = self._dataset.convert(row)
        self._received += 1
        if reason := rejection(self._dataset, values):
            self._rejected[reason] += 1
        elif in_holdout(self._dataset, values):
            self._holdout += 1
        else:
            self._training += 1
            self._targets.add(values[self._dataset.target])

    def fault(self) -> str:
        """Why no model can be trained on all these rows. Empty if one can be."""
        left_out = describe_left_out(self._received, self._rejected)
        if self._received == self._rejected.total():
            return f"no row is within [cleaning] of the dataset file: {left_out}"
        if self._training < MIN_TRAINING_ROWS or not self._holdout:
            counts = f"{self._training:,} clean training rows and {self._holdout:,} holdout rows"
            few = f"{counts} are too few for a model, {MIN_TRAINING_ROWS} and 1 are needed"
            if self._training >= MIN_TRAINING_ROWS:
                few = f"{few}; these rows are few different things: see `identity` of the dataset file"
            return f"{few}: {left_out}" if left_out else few
        if len(self._targets) == 1:
            return f"{self._dataset.target} has one value in all rows, so there is nothing to learn"
        return ""

    def warning(self) -> str:
        """What a person should look at: many rows are not clean. Empty otherwise."""
        if self._rejected.total() <= WARNING_SHARE * self._received:
            return ""
        return f"not clean: {describe_left_out(self._received, self._rejected)}"
