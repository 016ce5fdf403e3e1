"""What drift knows of one batch: its rows, the values of each column, and their statistics.

These are mean, std, 50 % and 75 %, as pandas' `describe()` computes them.
"""

import math
from array import array
from collections import Counter
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


class FittingValues:
    """Reads the values of rows by column, without the columns that drift ignores.

    Values that do not fit their column are left out, as pandas leaves out NaN.
    """

    def __init__(self, dataset: Dataset) -> None:
        columns = [column for column in dataset.columns if column.name not in dataset.drift.ignore]
        self.names = [column.name for column in columns]
        self._numbers = {column.name: column for column in columns if column.numeric}
        self._texts = {column.name: _Fits(column) for column in columns if not column.numeric}

    @property
    def numeric(self) -> list[str]:
        """The columns of numbers and identifiers."""
        return list(self._numbers)

    def read(self, rows: Sequence[Row]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """The numbers of rows as received, in their order and as float64, and how many values each column has."""
        values = dict(zip(self.names, _by_column(rows, self.names), strict=True))
        numbers = {name: _fitting(column, values[name]) for name, column in self._numbers.items()}
        texts = {name: fits.count(values[name]) for name, fits in self._texts.items()}
        return numbers, {name: texts[name] if name in texts else len(numbers[name]) for name in self.names}


class ColumnValues:
    """The values of a batch: see `FittingValues`."""

    def __init__(self, dataset: Dataset) -> None:
        self._fitting = FittingValues(dataset)
        self._numbers = {name: array("d") for name in self._fitting.numeric}
        self._counts = Counter(dict.fromkeys(self._fitting.names, 0))
        self._rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Add the next rows, as received."""
        numbers, counts = self._fitting.read(rows)
        for name, values in numbers.items():
            self._numbers[name].frombytes(values.tobytes())
        self._counts.update(counts)
        self._rows += len(rows)

    def summary(self) -> BatchSummary:
        """The summary of all rows that were added."""
        described = {name: describe(np.frombuffer(values)) for name, values in self._numbers.items()}
        return BatchSummary(self._rows, dict(self._counts), by_statistic(described))


def by_statistic(described: Mapping[str, Mapping[str, float]]) -> Statistics:
    """What `describe` found of each column, by column and statistic."""
    return {(name, statistic): value for name, found in described.items() for statistic, value in found.items()}


def _by_column(rows: Sequence[Row], names: Sequence[str]) -> list[Sequence[object]]:
    """The values of each column. At once if each row has all of them, which is faster."""
    if len(rows) and len(names) > 1:
        with suppress(KeyError):
            return list(zip(*map(itemgetter(*names), rows), strict=True))
    return [[row.get(name) for row in rows] for name in names]


def _fitting(column: Column, values: Sequence[object]) -> np.ndarray:
    """The values that fit a column of numbers. numpy reads them at once if they are JSON numbers."""
    if _NUMBERS.issuperset(map(type, values)):
        with suppress(OverflowError):  # an integer exceeds every float
            numbers: np.ndarray = np.array([value for value in values if value is not None], dtype=np.float64)
            return np.compress(np.isfinite(numbers), numbers)
    converted = map(column.convert, values)
    return np.array([value for value in converted if value is not None], dtype=np.float64)


class _Fits(dict[object, bool]):
    """Whether a value fits a column of texts. Short texts are read once: a batch has few different ones."""

    def __init__(self, column: Column) -> None:
        super().__init__()
        self._column = column

    def count(self, values: Sequence[object]) -> int:
        """How many values fit."""
        try:
            return sum(map(self.__getitem__, values))
        except TypeError:  # a list or an object cannot be remembered
            return sum(self._column.convert(value) is not None for value in values)

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
    return by_statistic({name: describe(values) for name, values in known.items()})
