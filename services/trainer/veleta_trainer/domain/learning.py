"""Rows sorted into what is learnt from and what is held out, as columns."""

import math
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row, Values
from veleta.features import categorical, feature_columns, features, in_holdout


class Columns:
    """Features and prices of rows, kept by column so that a million rows fit in memory."""

    def __init__(self, dataset: Dataset) -> None:
        self._columns = feature_columns(dataset)
        self._target = dataset.target
        texts = set(categorical(dataset))
        self._values: list[list[str] | array[float]] = [
            [] if i in texts else array("d") for i in range(len(self._columns))
        ]
        self._prices = array("d")

    def __len__(self) -> int:
        return len(self._prices)

    def add(self, values: Values) -> None:
        """Take in a clean row."""
        for kept, feature in zip(self._values, features(self._columns, values), strict=True):
            kept.append(feature)  # type: ignore[arg-type]  # text goes to lists, numbers to arrays
        price = values[self._target]
        self._prices.append(price if isinstance(price, float) else math.nan)

    def frame(self) -> pd.DataFrame:
        """The features, a column each, in the order of `feature_columns`."""
        columns = zip(self._columns, self._values, strict=True)
        return pd.DataFrame({c.name: _column(values) for c, values in columns})

    def prices(self) -> np.ndarray:
        """The target of each row, float64."""
        return np.frombuffer(self._prices) if self._prices else np.empty(0)


class Learning:
    """The rows of a recipe: `train` is learnt from; `holdout` is what champion and challenger are compared on."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.train = Columns(dataset)
        self.holdout = Columns(dataset)

    def add(self, rows: Iterable[Row], *, learn: bool) -> None:
        """Take in the next rows as received; with `learn` false only those of the holdout."""
        for row in rows:
            values, _ = self._dataset.convert(row)
            if rejection(self._dataset, values):
                continue
            if in_holdout(self._dataset, values):
                self.holdout.add(values)
            elif learn:
                self.train.add(values)


def _column(values: "list[str] | array[float]") -> "pd.Series[Any]":
    return pd.Series(values, dtype="category") if isinstance(values, list) else pd.Series(np.frombuffer(values))
