"""Features of a row, for training and for serving; and the split into training rows and holdout."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from hashlib import blake2b

from veleta.dataset import Column, Dataset, DerivedFeature, Value, Values

FEATURE_VERSION = 1
"""Increases with each change of how a feature is computed. A model is only used with the version of its training."""
HOLDOUT_PERCENT = 20
"""Percentage of the properties that are never used for training."""
MIN_TRAINING_ROWS = 20
"""The fewest clean rows that a model is fitted on."""
_DAYS_PER_YEAR = 365.25

Feature = float | str


@dataclass(frozen=True)
class FeatureFunction:
    """One feature: how it is computed from a typed row, and what people and CatBoost need of it.

    `column` is the column of the row whose influence it shows. `trend` is 1 if the predicted target must not fall with
    the feature, -1 if it must not rise, and 0 otherwise.
    """

    name: str
    title: str
    column: str
    compute: Callable[[Values], Feature]
    categorical: bool = False
    trend: int = 0


class Features:
    """The features of a dataset, in their order. They are a pure function of a typed row."""

    def __init__(self, dataset: Dataset, names: Sequence[str] | None = None) -> None:
        """All features, or those with these names: a model may have learnt from fewer, in another order."""
        functions = [_of_column(column, dataset) for column in dataset.inputs if column.is_feature]
        functions += [_derived(feature, dataset) for feature in dataset.features]
        by_name = {each.name: each for each in functions}
        self.functions = functions if names is None else [by_name[name] for name in names]
        self._compute = [each.compute for each in self.functions]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.functions]

    @property
    def categorical(self) -> list[int]:
        """The positions of the categorical features, which are text."""
        return [i for i, each in enumerate(self.functions) if each.categorical]

    def of(self, row: Values) -> list[Feature]:
        """The features of a typed row.

        A number stays a number (NaN if it is missing), a category is text, and a date is a year with a fraction. An
        identifier with a prefix becomes the first digits of its zero-padded number (6016.0 with five digits: `060`). A
        quotient is NaN unless its divisor is above 0.
        """
        return [compute(row) for compute in self._compute]


def column_feature(column: Column, value: Value) -> Feature:
    """The feature of a column's value: see `Features.of`."""
    return _FEATURE[column.kind](column, value)


def date_of_feature(feature: float) -> date:
    """The date whose feature this is: a year with a fraction."""
    year, days = int(feature), (feature - int(feature)) * _DAYS_PER_YEAR
    if round(days, 1) < 1:  # the last day of a leap year, which has more days than _DAYS_PER_YEAR
        return date(year - 1, 12, 31)
    return date(year, 1, 1) + timedelta(days=round(days) - 1)


def in_holdout(dataset: Dataset, values: Values) -> bool:
    """Whether this property belongs to the holdout. A hash of its identity decides, so it never changes."""
    identity = "\x1f".join(str(values[name]) for name in dataset.identity)
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest()) % 100 < HOLDOUT_PERCENT


def _number(_column: Column, value: Value) -> Feature:
    return value if isinstance(value, float) else math.nan


def _year(_column: Column, value: Value) -> Feature:
    if not isinstance(value, date):
        return math.nan
    day = value.toordinal() - date(value.year, 1, 1).toordinal() + 1
    return value.year + day / _DAYS_PER_YEAR


def _prefix(column: Column, value: Value) -> Feature:
    return str(int(value)).zfill(column.digits)[: column.prefix] if isinstance(value, float) else ""


def _text(_column: Column, value: Value) -> Feature:
    return value if isinstance(value, str) else ""


_FEATURE = {"number": _number, "date": _year, "identifier": _prefix, "category": _text}
"""By kind of column: the function that makes a feature of a value."""


def _of_column(column: Column, dataset: Dataset) -> FeatureFunction:
    make, name = _FEATURE[column.kind], column.name
    categorical, trend = column.kind in ("category", "identifier"), int(name in dataset.training.increasing)
    return FeatureFunction(name, column.title, name, lambda row: make(column, row[name]), categorical, trend)


def _derived(feature: DerivedFeature, dataset: Dataset) -> FeatureFunction:
    rises = [name in dataset.training.increasing for name in feature.inputs]
    compute: Callable[[Values], Feature]
    if feature.divide:
        compute, trend = partial(_quotient, *feature.divide), rises[0] - rises[1]
    else:
        compute, trend = partial(_total, feature.inputs), int(any(rises))
    return FeatureFunction(feature.name, feature.title, feature.inputs[0], compute, trend=trend)


def _quotient(dividend: str, divisor: str, row: Values) -> Feature:
    above, below = row[dividend], row[divisor]
    if isinstance(above, float) and isinstance(below, float) and below > 0:
        return above / below
    return math.nan


def _total(names: Sequence[str], row: Values) -> Feature:
    values = [row[name] for name in names]
    return sum(value if isinstance(value, float) else math.nan for value in values)
