"""Splits rows into training rows and holdout rows, stored by column."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row, Values
from veleta.errors import Reject
from veleta.features import MIN_TRAINING_ROWS, Feature, Features, is_held_out, property_hash
from veleta.left_out import describe_left_out
from veleta.training_values import TrainingValues

MAX_TEXTS = 100_000
"""If a column has more texts than this, the model's file contains none of them: it would grow by many megabytes."""


class ColumnarRows:
    """Features and prices of rows, stored by column so that a million rows fit in memory."""

    def __init__(self, dataset: Dataset) -> None:
        self._features = Features(dataset)
        self._target = dataset.target
        self._places = _PlaceIndex(self._features)
        own = [each for each in self._features.infos if each.name not in self._places.names]
        self._values: list[list[str] | array[float]] = [[] if each.categorical else array("d") for each in own]
        self._prices = array("d")
        self._properties = array("Q")

    def __len__(self) -> int:
        return len(self._prices)

    def append(self, values: Values, property_number: int) -> None:
        """Append a clean row, with the hash of its property."""
        for column, feature in zip(self._values, self._features.own_of(values), strict=True):
            column.append(feature)  # type: ignore[arg-type]  # lists hold text, arrays hold numbers
        self._places.append(values)
        price = values[self._target]
        self._prices.append(price if isinstance(price, float) else math.nan)
        self._properties.append(property_number)

    def truncate(self, rows: int) -> None:
        """Delete all rows after the first `rows`."""
        for column in (*self._values, self._prices, self._properties, self._places.positions):
            del column[rows:]

    def frame(self) -> pd.DataFrame:
        """The features, one column each, in the order of `Features`."""
        own = zip(self._features.names, self._values, strict=False)  # the names of places follow
        return pd.DataFrame({**{name: _series(values) for name, values in own}, **self._places.columns()})

    def training_values(self) -> TrainingValues:
        """The range or the texts of each column that is a feature, for the model's file. There must be rows."""
        pairs = zip(self._features.infos, self._values, strict=False)  # those of places follow
        columns = [(info.name, values) for info, values in pairs if info.name == info.column]
        texts = {name: sorted(set(values)) for name, values in columns if isinstance(values, list)}
        return TrainingValues(
            ranges={name: (min(values), max(values)) for name, values in columns if isinstance(values, array)},
            texts={name: known for name, known in texts.items() if len(known) <= MAX_TEXTS},
        )

    def prices(self) -> np.ndarray:
        """The target of each row, float64."""
        return np.frombuffer(self._prices) if self._prices else np.empty(0)

    def properties(self) -> np.ndarray:
        """The hash of each row's property, uint64: see `property_hash`."""
        return np.frombuffer(self._properties, np.uint64) if self._properties else np.empty(0, np.uint64)


class _PlaceIndex:
    """The features of places, stored once for each place: a million rows have some ten thousand."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._key = itemgetter(*features.place_columns) if features.place_columns else None
        self._known: dict[Any, int] = {}
        self._places: list[list[Feature]] = []
        self.names = features.place_names
        self.positions = array("I")
        """For each row, the position of its place."""

    def append(self, values: Values) -> None:
        """Append the place of a row."""
        if self._key is None:
            return
        key = self._key(values)
        position = self._known.get(key)
        if position is None:
            position = self._known[key] = len(self._places)
            self._places.append(self._features.place_of(values))
        self.positions.append(position)

    def columns(self) -> "dict[str, pd.Series[Any]]":
        """A column for each name, with a value for each row. Numbers are float32, as CatBoost has them."""
        positions = np.frombuffer(self.positions, np.uint32) if self.positions else np.empty(0, np.uint32)
        found = zip(*self._places, strict=True) if self._places else ([] for _ in self.names)
        return {name: _of_places(list(values), positions) for name, values in zip(self.names, found, strict=True)}


class TrainingData:
    """The rows of a recipe: `train` for fitting, `holdout` for comparing champion and challenger.

    `received` and `rejected` (by reason) count the rows, without those that were added for the holdout only.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.train = ColumnarRows(dataset)
        self.holdout = ColumnarRows(dataset)
        self.received = 0
        self.rejected: Counter[str] = Counter()

    def append_batch(self, chunks: Iterable[Iterable[Row]], *, holdout_only: bool) -> None:
        """Append the rows of a batch. If a chunk raises Reject, no row of the batch stays, and it is raised again."""
        before = len(self.train), len(self.holdout), self.received, self.rejected.copy()
        try:
            for rows in chunks:
                self.append(rows, holdout_only=holdout_only)
        except Reject:
            train, holdout, self.received, self.rejected = before
            self.train.truncate(train)
            self.holdout.truncate(holdout)
            raise

    def append(self, rows: Iterable[Row], *, holdout_only: bool) -> None:
        """Append the clean rows among received rows; with `holdout_only`, only those of the holdout."""
        for row in rows:
            values, _ = self._dataset.convert(row)
            reason = rejection(self._dataset, values)
            self.received += not holdout_only
            if reason:
                self.rejected[reason] += not holdout_only
                continue
            number = property_hash(self._dataset, values)
            if is_held_out(number):
                self.holdout.append(values, number)
            elif not holdout_only:
                self.train.append(values, number)

    def shortage(self, epoch: int) -> str:
        """Why the rows of this epoch are too few to learn from and to compare. Empty if they are enough."""
        if len(self.train) >= MIN_TRAINING_ROWS and len(self.holdout) > 0:
            return ""
        left_out = describe_left_out(self.received, self.rejected)
        if self.received == self.rejected.total():
            return f"epoch {epoch} has no clean row: {left_out}"
        counts = f"{len(self.train):,} clean training rows and {len(self.holdout):,} holdout rows of epoch {epoch}"
        few = f"{counts} are too few, {MIN_TRAINING_ROWS} and 1 are needed"
        return f"{few}: {left_out}" if left_out else few


def _of_places(values: list[Feature], positions: np.ndarray) -> "pd.Series[Any]":
    if any(isinstance(value, str) for value in values):
        codes, texts = pd.factorize(np.array(values, dtype=object), sort=True)
        found = pd.Categorical.from_codes(codes[positions], pd.Index(texts))
        return pd.Series(found.remove_unused_categories())  # places of deleted rows stay known
    return pd.Series(np.array(values, dtype=np.float32)[positions])


def _series(values: "list[str] | array[float]") -> "pd.Series[Any]":
    return pd.Series(values, dtype="category") if isinstance(values, list) else pd.Series(np.frombuffer(values))
