"""Features of a row, for training and for serving; and the split into training rows and holdout."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import blake2b

from veleta.dataset import Column, Dataset, Value, Values

FEATURE_VERSION = 1
"""Increases with each change of `features`. A model is only used with the version that it was trained with."""
HOLDOUT_PERCENT = 20
"""Percentage of the properties that are never used for training."""
MIN_TRAINING_ROWS = 20
"""The fewest clean rows that a model is fitted on."""
_DAYS_PER_YEAR = 365.25

Feature = float | str


def feature_columns(dataset: Dataset) -> list[Column]:
    """The columns that become features, in their order, without the target."""
    return [column for column in dataset.inputs if column.is_feature]


def categorical(dataset: Dataset) -> list[int]:
    """The positions of the categorical features (text)."""
    return [i for i, c in enumerate(feature_columns(dataset)) if c.kind in ("category", "identifier")]


def features(columns: Sequence[Column], values: Values) -> list[Feature]:
    """The features of one typed row, one for each of `columns` (see `feature_columns`), in their order.

    A number stays a number (NaN if it is missing), a category is text, and a date is a year with a fraction. An
    identifier with a prefix becomes the first digits of its zero-padded number (6016.0 with five digits: `060`).
    """
    return [_FEATURE[column.kind](column, values[column.name]) for column in columns]


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
