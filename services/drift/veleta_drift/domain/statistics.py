"""The statistics of one batch: mean, std, 50 % and 75 % of each column, as pandas' `describe()` computes them."""

from array import array
from collections.abc import Iterable, Mapping

import numpy as np

from veleta.dataset import Dataset, Row
from veleta.tables import STATISTICS

Statistics = dict[tuple[str, str], float]
"""By (column, statistic); NaN where there are too few values."""


class ColumnValues:
    """The numeric values of a batch, by column. Other values are left out, as pandas leaves out NaN."""

    def __init__(self, dataset: Dataset) -> None:
        self._columns = [dataset.by_name[name] for name in dataset.drift_columns]
        self._values = {column.name: array("d") for column in self._columns}

    def add(self, rows: Iterable[Row]) -> None:
        """Add the next rows, as received."""
        for row in rows:
            for column in self._columns:
                value = column.convert(row.get(column.name))
                if isinstance(value, float):
                    self._values[column.name].append(value)

    def statistics(self) -> Statistics:
        """The statistics of all values that were added."""
        return {
            (name, statistic): value
            for name, values in self._values.items()
            for statistic, value in describe(np.frombuffer(values)).items()
        }


def describe(values: np.ndarray) -> Mapping[str, float]:
    """Mean, sample standard deviation (n - 1), median and upper quartile (linear interpolation) of float64 values."""
    if not len(values):
        return dict.fromkeys(STATISTICS, float("nan"))
    std = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    median, upper = (float(q) for q in np.quantile(values, (0.50, 0.75)))
    return dict(zip(STATISTICS, (float(values.mean()), std, median, upper), strict=True))
