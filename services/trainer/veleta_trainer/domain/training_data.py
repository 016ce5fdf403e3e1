"""Splits rows into training rows and holdout rows, stored by column."""

import math
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row, Values
from veleta.features import categorical, feature_columns, features, in_holdout


class ColumnarRows:
    """Features and prices of rows, stored by column so that a million rows fit in memory."""

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

    def append(self, values: Values) -> None:
        """Append a clean row."""
        for column, feature in zip(self._values, features(self._columns, values), strict=True):
            column.append(feature)  # type: ignore[arg-type]  # lists hold text, arrays hold numbers
        price = values[self._target]
        self._prices.append(price if isinstance(price, float) else math.nan)

    def frame(self) -> pd.DataFrame:
        """The features, one column each, in the order of `feature_columns`."""
        columns = zip(self._columns, self._values, strict=True)
        return pd.DataFrame({c.name: _series(values) for c, values in columns})

    def prices(self) -> np.ndarray:
        """The target of each row, float64."""
        return np.frombuffer(self._prices) if self._prices else np.empty(0)


class TrainingData:
    """The rows of a recipe: `train` for fitting, `holdout` for comparing champion and challenger."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.train = ColumnarRows(dataset)
        self.holdout = ColumnarRows(dataset)

    def append(self, rows: Iterable[Row], *, holdout_only: bool) -> None:
        """Append the clean rows among received rows; with `holdout_only`, only those of the holdout."""
        for row in rows:
            values, _ = self._dataset.convert(row)
            if rejection(self._dataset, values):
                continue
            if in_holdout(self._dataset, values):
                self.holdout.append(values)
            elif not holdout_only:
                self.train.append(values)


def _series(values: "list[str] | array[float]") -> "pd.Series[Any]":
    return pd.Series(values, dtype="category") if isinstance(values, list) else pd.Series(np.frombuffer(values))
