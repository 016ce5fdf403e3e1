"""Features of a row, for training and for serving; and the split into training rows and holdout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

from veleta.dataset import Column, Dataset, DerivedFeature, PlacesRule, Value, Values
from veleta.places import PLACE_PREFIX, load_places

MISSING_PREFIX, MISSING_COUNT = "@missing_", "@missing"
"""The names of the flags of missing values begin so, and the name of their count. No name of a column does."""
MISSING_VALUES = "missing_values"
"""What explanations call the influence of the count."""
FEATURE_VERSION = 1
"""Increases with each change of how a feature is computed. A model is only used with the version of its training."""
HOLDOUT_PERCENT = 20
"""Percentage of the properties that are never used for training."""
MIN_TRAINING_ROWS = 20
"""The fewest clean rows that a model is fitted on."""
CACHED_PLACES = 4_096
"""Places whose features are kept ready: requests ask for few of them, and each needs 1 KB."""
_DAYS_PER_YEAR = 365.25

Feature = float | str


@dataclass(frozen=True)
class FeatureInfo:
    """What people and CatBoost need to know of a feature.

    `column` is the column of the row whose influence it shows, and MISSING_VALUES that of MISSING_COUNT. `trend` is 1
    if the predicted target must not fall with the feature, -1 if it must not rise, and 0 otherwise.
    """

    name: str
    title: str
    column: str
    categorical: bool = False
    trend: int = 0

    @property
    def is_column(self) -> bool:
        """Whether it is a column of the row itself: it is not computed from several, and not of the row's place."""
        return self.name == self.column


class Features:
    """The features of a dataset, in their order. They are a pure function of a typed row and the table of places."""

    def __init__(self, dataset: Dataset, names: Sequence[str] | None = None) -> None:
        """All features, or those with these names: a model may have learnt from fewer, in another order.

        Raises Stop: the table of places cannot be read.
        """
        rises = dataset.training.increasing
        columns = [column for column in dataset.inputs if column.is_feature]
        infos = [_column_info(column, rises) for column in columns]
        infos += [_derived_info(feature, rises) for feature in dataset.features]
        self._columns = [(_FEATURE[column.kind], column, column.name) for column in columns]
        self._derived = [_derived(feature) for feature in dataset.features]
        self._optional = [column.name for column in dataset.optional_features]
        infos += _missing_infos(dataset.optional_features)
        self._place = _PlaceFeatures(dataset, dataset.places) if dataset.places else None
        infos += self._place.infos if self._place else []
        positions = {info.name: position for position, info in enumerate(infos)}
        chosen = list(positions.values()) if names is None else [positions[name] for name in names]
        self.infos = [infos[position] for position in chosen]
        self._chosen = None if self.infos == infos else chosen

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.infos]

    @property
    def categorical(self) -> list[int]:
        """The positions of the categorical features, which are text."""
        return [i for i, each in enumerate(self.infos) if each.categorical]

    @property
    def places_digest(self) -> str:
        """The SHA-256 of the table of places. Empty if the dataset has none."""
        return self._place.digest if self._place else ""

    def of(self, row: Values) -> list[Feature]:
        """The features of a typed row.

        A number stays a number (NaN if it is missing), a category is text, and a date is a year with a fraction. An
        identifier with a prefix becomes the first digits of its zero-padded number (6016.0 with five digits: `060`). A
        quotient is NaN unless its divisor is above 0. If columns are optional, flags (1.0 if the value is missing) and
        their count follow. The values of the place are the last: see `Places.find`.
        """
        found = self.own_of(row) + self.place_of(row)
        return found if self._chosen is None else [found[position] for position in self._chosen]

    @property
    def place_columns(self) -> list[str]:
        """The columns that decide about the place of a row. Empty if the dataset has no places."""
        return self._place.columns if self._place else []

    @property
    def place_names(self) -> list[str]:
        """The names of all features of the place."""
        return [each.name for each in self._place.infos] if self._place else []

    def own_of(self, row: Values) -> list[Feature]:
        """All features of a typed row but those of its place."""
        found = [make(column, row[name]) for make, column, name in self._columns]
        found += [compute(row) for compute in self._derived]
        if self._optional:
            flags = [float(row[name] is None) for name in self._optional]
            found += [*flags, sum(flags)]
        return found

    def place_of(self, row: Values) -> list[Feature]:
        """All features of a typed row's place: the last ones. Rows with the same `place_columns` have the same."""
        return self._place.of(row) if self._place else []


class _PlaceFeatures:
    """The features of a row's place: the columns of the table of places."""

    def __init__(self, dataset: Dataset, rule: PlacesRule) -> None:
        self._key, self._city, self._state = dataset.by_name[rule.key], rule.city, rule.state
        self.columns = [name for name in (rule.key, rule.city, rule.state) if name]
        self._places = load_places(rule.table)
        self.digest = self._places.digest
        self.infos = [_place_info(name, self._key) for name in self._places.numbers]
        self.infos += [_place_info(name, self._key, categorical=True) for name in self._places.texts]
        self._cached = lru_cache(CACHED_PLACES)(self._find)

    def of(self, row: Values) -> list[Feature]:
        return self._cached(
            row[self._key.name], row[self._city] if self._city else None, row[self._state] if self._state else None
        )

    def _find(self, key: Value, city: Value, state: Value) -> list[Feature]:
        text = self._key.digits_of(key) if self._key.numeric else key
        place = self._places.find(_as_text(text), _as_text(city), _as_text(state))
        return [*place.numbers, *place.texts]


def column_feature(column: Column, value: Value) -> Feature:
    """The feature of a column's value: see `Features.of`."""
    return _FEATURE[column.kind](column, value)


def place_feature(name: str) -> str:
    """The name of the feature of a column in the table of places."""
    return f"{PLACE_PREFIX}{name}"


def date_of_feature(feature: float) -> date:
    """The date whose feature this is: a year with a fraction."""
    year, days = int(feature), (feature - int(feature)) * _DAYS_PER_YEAR
    if round(days, 1) < 1:  # the last day of a leap year, which has more days than _DAYS_PER_YEAR
        return date(year - 1, 12, 31)
    return date(year, 1, 1) + timedelta(days=round(days) - 1)


def identity_columns(dataset: Dataset) -> list[str]:
    """The names of all columns that `property_hash` depends on."""
    inputs = [column.name for column in dataset.inputs]
    whole = dataset.identity and not any(dataset.by_name[name].optional for name in dataset.identity)
    return list(dataset.identity) if whole else [*dataset.identity, *inputs]


def property_hash(dataset: Dataset, values: Values) -> int:
    """A number from 0 to 2^64 - 1 that is the same for all rows of a property: a hash of its identity.

    A row that lacks a part of its identity is a property of its own, by all of its inputs.
    """
    parts = [values[name] for name in dataset.identity]
    if not parts or None in parts:
        parts = [values[column.name] for column in dataset.inputs]
    identity = "\x1f".join(map(str, parts))
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest())


def in_holdout(dataset: Dataset, values: Values) -> bool:
    """Whether this property belongs to the holdout. A hash of its identity decides, so it never changes."""
    return bool(is_held_out(property_hash(dataset, values)))


def is_held_out(property_number: Any) -> Any:
    """Whether the property with this hash belongs to the holdout. For an array of hashes: an array."""
    return property_number % 100 < HOLDOUT_PERCENT


def _number(_column: Column, value: Value) -> Feature:
    return value if isinstance(value, float) else math.nan


def _year(_column: Column, value: Value) -> Feature:
    if not isinstance(value, date):
        return math.nan
    day = value.toordinal() - date(value.year, 1, 1).toordinal() + 1
    return value.year + day / _DAYS_PER_YEAR


def _prefix(column: Column, value: Value) -> Feature:
    return column.digits_of(value)[: column.prefix]


def _text(_column: Column, value: Value) -> Feature:
    return _as_text(value)


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else ""


_FEATURE = {"number": _number, "date": _year, "identifier": _prefix, "category": _text, "boolean": _text}
"""By kind of column: the function that makes a feature of a value."""


def _derived(feature: DerivedFeature) -> "partial[Feature]":
    return partial(_quotient, *feature.divide) if feature.divide else partial(_total, feature.inputs)


def _quotient(dividend: str, divisor: str, row: Values) -> Feature:
    above, below = row[dividend], row[divisor]
    if isinstance(above, float) and isinstance(below, float) and below > 0:
        return above / below
    return math.nan


def _total(names: Sequence[str], row: Values) -> Feature:
    values = [row[name] for name in names]
    return sum(value if isinstance(value, float) else math.nan for value in values)


def _column_info(column: Column, rises: Sequence[str]) -> FeatureInfo:
    categorical = column.kind in ("category", "identifier", "boolean")
    return FeatureInfo(column.name, column.title, column.name, categorical, int(column.name in rises))


def _missing_infos(columns: Sequence[Column]) -> list[FeatureInfo]:
    """The flags of optional columns, and their count. None without such columns."""
    flags = [FeatureInfo(f"{MISSING_PREFIX}{c.name}", f"{c.title} not given", c.name) for c in columns]
    return [*flags, FeatureInfo(MISSING_COUNT, "Values not given", MISSING_VALUES)] if flags else []


def _derived_info(feature: DerivedFeature, rises: Sequence[str]) -> FeatureInfo:
    rising = [name in rises for name in feature.inputs]
    trend = rising[0] - rising[1] if feature.divide else int(any(rising))
    return FeatureInfo(feature.name, feature.title, feature.inputs[0], trend=trend)


def _place_info(name: str, key: Column, *, categorical: bool = False) -> FeatureInfo:
    return FeatureInfo(place_feature(name), f"{key.title}: {name.replace('_', ' ')}", key.name, categorical)
