"""What drift knows of one batch: its rows, the values of each column, and their statistics.

These are mean, std, 50 % and 75 %, as pandas' `describe()` computes them.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from veleta.dataset import Dataset, Row
from veleta.tables import STATISTICS

Statistics = dict[tuple[str, str], float]
"""By (column, statistic); NaN where there are too few values."""


@dataclass(frozen=True)
class BatchSummary:
    """The number of rows, the number of rows with a value by column, and the statistics of the numeric columns."""

    rows: int
    values: dict[str, int]
    statistics: Statistics


class ColumnValues:
    """The values of a batch, by column, without the columns that drift ignores.

    Values that do not fit their column are left out, as pandas leaves out NaN.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._columns = [column for column in dataset.columns if column.name not in dataset.drift.ignore]
        self._numbers = {name: array("d") for name in dataset.drift_columns}
        self._values = {column.name: 0 for column in self._columns}
        self._rows = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add the next rows, as received."""
        for row in rows:
            self._rows += 1
            for column in self._columns:
                value = column.convert(row.get(column.name))
                if value is not None:
                    self._values[column.name] += 1
                if isinstance(value, float):
                    self._numbers[column.name].append(value)

    def summary(self) -> BatchSummary:
        """The summary of all rows that were added."""
        statistics = {
            (name, statistic): value
            for name, values in self._numbers.items()
            for statistic, value in describe(np.frombuffer(values)).items()
        }
        return BatchSummary(self._rows, dict(self._values), statistics)


def describe(values: np.ndarray) -> Mapping[str, float]:
    """Mean, sample standard deviation (n - 1), median and upper quartile (linear interpolation) of float64 values."""
    if not len(values):
        return dict.fromkeys(STATISTICS, math.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # the sum of huge values is infinite, as with pandas
        std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        median, upper = (float(q) for q in np.quantile(values, (0.50, 0.75)))
        return dict(zip(STATISTICS, (float(values.mean()), std, median, upper), strict=True))
