"""A linear model: what a simple method predicts, as a baseline."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from veleta.dataset import Dataset
from veleta.features import Features

NAME = "linear baseline"
MAX_ROWS = 50_000
"""A linear model of so few features learns no more from more rows."""


def fit_linear_baseline(dataset: Dataset, frame: pd.DataFrame, prices: np.ndarray) -> Pipeline:
    """A linear model of the logarithm of the price by the numbers among the features, fitted on MAX_ROWS at most.

    A missing number is replaced by the median.
    """
    step = max(1, len(frame) // MAX_ROWS)
    model = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), Ridge())
    return model.fit(numbers(dataset, frame)[::step], np.log(prices[::step]))


def numbers(dataset: Dataset, frame: pd.DataFrame) -> np.ndarray:
    """The numbers among the features (rows x numbers), float32."""
    names = [info.name for info in Features(dataset).infos if not info.categorical]
    return frame[names].to_numpy(dtype=np.float32)
