"""What drift knows of one batch: its rows, the values of each column, and their statistics.

These are mean, std, 50 % and 75 %, as pandas' `describe()` computes them.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from veleta.dataset import MAX_TEXT, Column, Dataset, Row
from veleta.tables import STATISTICS

Statistics = dict[tuple[str, str], float]
"""By (column, statistic); NaN where there are too few values."""
MAX_KNOWN = 30_000
"""How many texts of a column are remembered: more than there are days in 80 years, or places in a country."""
_NUMBERS = frozenset({float, int, type(None)})
"""The types of numbers that numpy reads as `Column.convert` does. A boolean is none."""


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
        self._columns = {
            column.name: _Numbers(column) if column.numeric else _Texts(column)
            for column in dataset.columns
            if column.name not in dataset.drift.ignore
        }
        self._rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Add the next rows, as received."""
        self._rows += len(rows)
        for column, values in zip(self._columns.values(), _by_column(rows, list(self._columns)), strict=True):
            column.add(values)

    def summary(self) -> BatchSummary:
        """The summary of all rows that were added."""
        statistics = {
            (name, statistic): value
            for name, column in self._columns.items()
            if isinstance(column, _Numbers)
            for statistic, value in describe(column.numbers).items()
        }
        return BatchSummary(self._rows, {name: column.count for name, column in self._columns.items()}, statistics)


def _by_column(rows: Sequence[Row], names: Sequence[str]) -> list[Sequence[object]]:
    """The values of each column. At once if each row has all of them, which is faster."""
    if len(rows) and len(names) > 1:
        with suppress(KeyError):
            return list(zip(*map(itemgetter(*names), rows), strict=True))
    return [[row.get(name) for row in rows] for name in names]


class _Numbers:
    """The values of a number or identifier."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._numbers = array("d")

    @property
    def numbers(self) -> np.ndarray:
        """All values in their order, as float64."""
        return np.frombuffer(self._numbers)

    @property
    def count(self) -> int:
        """The number of values."""
        return len(self._numbers)

    def add(self, values: Sequence[object]) -> None:
        """Add the next values, as received."""
        self._numbers.frombytes(self._fitting(values).tobytes())

    def _fitting(self, values: Sequence[object]) -> np.ndarray:
        """The values that fit. numpy reads them at once if they are JSON numbers."""
        if _NUMBERS.issuperset(map(type, values)):
            with suppress(OverflowError):  # an integer exceeds every float
                numbers: np.ndarray = np.array([value for value in values if value is not None], dtype=np.float64)
                return np.compress(np.isfinite(numbers), numbers)
        converted = map(self._column.convert, values)
        return np.array([value for value in converted if value is not None], dtype=np.float64)


class _Texts:
    """The number of values of a category or date."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._fits = _Fits(column)
        self.count = 0

    def add(self, values: Sequence[object]) -> None:
        """Add the next values, as received."""
        try:
            self.count += sum(map(self._fits.__getitem__, values))
        except TypeError:  # a list or an object cannot be remembered
            self.count += sum(self._column.convert(value) is not None for value in values)


class _Fits(dict[object, bool]):
    """Whether a value fits a column. Short texts are read once: a batch has few different ones."""

    def __init__(self, column: Column) -> None:
        super().__init__()
        self._column = column

    def __missing__(self, value: object) -> bool:
        fits = self._column.convert(value) is not None
        if len(self) < MAX_KNOWN and not (isinstance(value, str) and len(value) > MAX_TEXT):
            self[value] = fits
        return fits


def describe(values: np.ndarray) -> Mapping[str, float]:
    """Mean, sample standard deviation (n - 1), median and upper quartile (linear interpolation) of float64 values."""
    if not len(values):
        return dict.fromkeys(STATISTICS, math.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # the sum of huge values is infinite, as with pandas
        std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        median, upper = (float(q) for q in np.quantile(values, (0.50, 0.75)))
        return dict(zip(STATISTICS, (float(values.mean()), std, median, upper), strict=True))


def statistics_of(numbers: Mapping[str, np.ndarray]) -> Statistics:
    """The statistics of columns whose missing numbers are NaN."""
    known = {name: values[~np.isnan(values)] for name, values in numbers.items()}
    return {(name, key): value for name, values in known.items() for key, value in describe(values).items()}
