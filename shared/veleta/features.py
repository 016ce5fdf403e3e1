"""How a row becomes features, in training and in serving alike; and who belongs to the holdout."""

import math
from collections.abc import Sequence
from datetime import date
from hashlib import blake2b

from veleta.dataset import Column, Dataset, Value, Values

FEATURE_VERSION = 1
"""Grows with every change of `features`. Each model bears its own, and is asked by no other code."""
HOLDOUT_PERCENT = 20
"""Of a hundred properties, how many are never trained on."""
_DAYS_IN_A_YEAR = 365.25

Feature = float | str


def feature_columns(dataset: Dataset) -> list[Column]:
    """The columns that the model sees, in the order of its features: never the target, never a bare identifier."""
    return [c for c in dataset.inputs if c.kind != "identifier" or c.feature == "prefix"]


def categorical(dataset: Dataset) -> list[int]:
    """The positions of the features that are categories (text)."""
    return [i for i, c in enumerate(feature_columns(dataset)) if c.kind in ("category", "identifier")]


def features(columns: Sequence[Column], values: Values) -> list[Feature]:
    """The features of one typed row, one for each of `columns` (see `feature_columns`), in their order.

    Numbers stay as they are (NaN where there is none), categories are text, dates are years with a fraction, an
    identifier with a prefix is the first digits of its number written in full (6016.0 of five digits: `060`).
    """
    return [_FEATURE[column.kind](column, values[column.name]) for column in columns]


def in_holdout(dataset: Dataset, values: Values) -> bool:
    """Whether this property is kept from training: decided by a hash of what identifies it, so for ever."""
    identity = "\x1f".join(str(values[name]) for name in dataset.identity)
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest()) % 100 < HOLDOUT_PERCENT


def _number(_column: Column, value: Value) -> Feature:
    return value if isinstance(value, float) else math.nan


def _year(_column: Column, value: Value) -> Feature:
    if not isinstance(value, date):
        return math.nan
    day = value.toordinal() - date(value.year, 1, 1).toordinal() + 1
    return value.year + day / _DAYS_IN_A_YEAR


def _prefix(column: Column, value: Value) -> Feature:
    return str(int(value)).zfill(column.digits)[: column.prefix] if isinstance(value, float) else ""


def _text(_column: Column, value: Value) -> Feature:
    return value if isinstance(value, str) else ""


_FEATURE = {"number": _number, "date": _year, "identifier": _prefix, "category": _text}
"""How a value of each kind becomes a feature."""
