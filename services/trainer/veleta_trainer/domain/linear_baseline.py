"""A linear model: what a simple method predicts, as a baseline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from veleta.dataset import Dataset
from veleta.features import Features

NAME = "linear baseline"
MAX_ROWS = 50_000
"""A linear model of so few features learns no more from more rows."""
PENALTY = 1.0
"""The weight of the squared coefficients of standardized numbers (ridge regression): columns that depend on each other
get no huge ones."""


@dataclass(frozen=True)
class LinearBaseline:
    """A linear model of the logarithm of the price by the numbers among the features."""

    medians: "pd.Series[Any]"
    """By the name of the number: what a missing one counts as."""
    weights: np.ndarray
    intercept: float

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The logarithms of the prices of features (rows x features)."""
        return np.asarray(self.intercept + _filled(frame, self.medians) @ self.weights)


def fit_linear_baseline(dataset: Dataset, frame: pd.DataFrame, prices: np.ndarray) -> LinearBaseline:
    """The ridge regression of features (rows x features), fitted on MAX_ROWS at most.

    It is not scikit-learn's: that import takes longer than a second, and each training would wait for it.
    """
    step = max(1, len(frame) // MAX_ROWS)
    numbers = [info.name for info in Features(dataset).infos if not info.categorical]
    frame, logarithms = frame.iloc[::step][numbers], np.log(prices[::step])
    medians = frame.median().fillna(0.0)  # a column without any number
    values = _filled(frame, medians)
    means, deviations = values.mean(axis=0), values.std(axis=0)
    deviations[np.ptp(values, axis=0) == 0] = 1.0  # a constant column
    standardized, mean = (values - means) / deviations, float(logarithms.mean())
    squares = standardized.T @ standardized + PENALTY * np.identity(len(numbers))
    weights = np.linalg.solve(squares, standardized.T @ (logarithms - mean)) / deviations
    return LinearBaseline(medians, weights, float(mean - means @ weights))


def _filled(frame: pd.DataFrame, medians: "pd.Series[Any]") -> np.ndarray:
    """The numbers (rows x numbers), float64, without gaps."""
    return frame[medians.index].fillna(medians).to_numpy(dtype=np.float64)
