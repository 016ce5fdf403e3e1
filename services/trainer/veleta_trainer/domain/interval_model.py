"""Learns how large the errors of a model of prices are, and calibrates its prediction intervals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset
from veleta.features import Features
from veleta.holdout_errors import MIN_ROWS, HoldoutErrors
from veleta.intervals import COVERAGE, DEVIATIONS, MIN_SIZE, Calibration
from veleta_trainer.domain.labelled_rows import LabelledRows
from veleta_trainer.domain.price_model import fit_price_model, predict

FOLDS = 4
"""Each row's error is that of a model which was fitted on the other folds."""
MAX_ROWS = 50_000
"""Rows whose errors are learnt. More take longer and show the same."""
PARAMS = {"loss_function": "RMSE", "iterations": 300, "learning_rate": 0.03, "depth": 4}


def fit_error_model(
    dataset: Dataset,
    frame: pd.DataFrame,
    prices: np.ndarray,
    properties: np.ndarray,
    params: Mapping[str, Any],
    threads: int,
) -> CatBoostRegressor:
    """A model that predicts log(|error of the logarithm of a price| + MIN_SIZE) from the features of a row.

    It learns from errors on rows that the predicting model was not fitted on. All rows of a property are in one fold.
    Categories are not used: numbers predict the size as well, and the model stays small.
    """
    chosen, errors = out_of_fold_errors(dataset, frame, prices, properties, params, threads)
    return error_model_of(dataset, frame[chosen], errors, params, threads)


def out_of_fold_errors(
    dataset: Dataset,
    frame: pd.DataFrame,
    prices: np.ndarray,
    properties: np.ndarray,
    params: Mapping[str, Any],
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A mask of at most about MAX_ROWS rows, and log(price) - log(prediction) of these.

    Each row is predicted by a model with half of the trees that was not fitted on its property.
    """
    numbers = properties // 100  # the rest decides about the holdout
    chosen = numbers // FOLDS % math.ceil(len(frame) / MAX_ROWS) == 0
    frame, logarithms, folds = frame[chosen], np.log(prices[chosen]), numbers[chosen] % FOLDS
    errors = np.zeros(len(frame))
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        booster = fit_price_model(dataset, frame[outside], np.exp(logarithms[outside]), halved(params), threads)
        errors[inside] = logarithms[inside] - predict(booster, dataset, frame[inside])
    return chosen, errors


def halved(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with half of the trees: for models that only show how large errors are."""
    return {**params, "iterations": max(1, int(params["iterations"]) // 2)}


def error_model_of(
    dataset: Dataset, frame: pd.DataFrame, errors: np.ndarray, params: Mapping[str, Any], threads: int
) -> CatBoostRegressor:
    """A model that predicts log(|error| + MIN_SIZE) from the features of the rows with these errors."""
    categorical = Features(dataset).categorical
    booster = CatBoostRegressor(
        **PARAMS,
        random_seed=params["random_seed"],
        ignored_features=categorical,
        thread_count=threads,
        allow_writing_files=False,
        verbose=False,
    )
    return booster.fit(Pool(frame, np.log(np.abs(errors) + MIN_SIZE), cat_features=categorical))


@dataclass(frozen=True)
class HoldoutPredictions:
    """What two models predict for the rows of the holdout: the logarithm of the price, and the size of its error."""

    logarithms: np.ndarray
    sizes: np.ndarray
    prices: np.ndarray
    """The true prices, in the target's unit."""
    properties: np.ndarray
    """The hash of each row's property: see `property_hash`."""

    @classmethod
    def of_models(
        cls,
        dataset: Dataset,
        models: tuple[CatBoostRegressor, CatBoostRegressor],
        rows: LabelledRows,
    ) -> Self:
        """What a model of prices and its model of errors predict for rows."""
        logarithms, sizes = (predict(model, dataset, rows.frame) for model in models)
        return cls(logarithms, np.exp(sizes), rows.prices, rows.properties)

    @property
    def errors(self) -> np.ndarray:
        """|error of the logarithm| of each row."""
        return np.asarray(np.abs(np.log(self.prices) - self.logarithms))

    @property
    def ratios(self) -> np.ndarray:
        """|error of the logarithm| / expected size of each row."""
        return np.asarray(self.errors / self.sizes)

    def holdout_errors(self, outside: np.ndarray) -> HoldoutErrors | None:
        """What inference estimates errors with. `outside` is a mask: see `CleanRows.outside`.

        None with too few rows, or if the model of errors expects none at all.
        """
        expected = float(np.maximum(self.sizes - MIN_SIZE, 0).mean())
        if len(self.prices) < MIN_ROWS or expected == 0:
            return None
        return HoldoutErrors(ratio=float(self.errors.mean()) / expected, outside=float(outside.mean()))

    def calibration(self) -> Calibration:
        """The calibration by all rows."""
        return Calibration.of_errors(self.logarithms.tolist(), self.ratios.tolist())

    def intervals(
        self, calibration: Calibration, level: float = COVERAGE, variance: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest price of each row's interval; NaN where the calibration has too few rows.

        `variance` is that of the level of the market, which makes intervals wider.
        """
        factors = np.array([math.nan if each is None else each for each in calibration.factors(level)])
        own = factors[np.searchsorted(calibration.edges, self.logarithms)] * self.sizes
        widths = np.sqrt(own**2 + DEVIATIONS**2 * variance) if variance else own
        return np.exp(self.logarithms - widths), np.exp(self.logarithms + widths)

    def other_half_intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """As `intervals`, by the calibration of the other half of the properties: so the coverage can be measured."""
        halves = self.properties // (100 * FOLDS) % 2 == 0
        low, high = np.empty(len(self.prices)), np.empty(len(self.prices))
        for half in (halves, ~halves):
            low[half], high[half] = self._rows(half).intervals(self._rows(~half).calibration())
        return low, high

    def _rows(self, chosen: np.ndarray) -> "HoldoutPredictions":
        return HoldoutPredictions(
            self.logarithms[chosen], self.sizes[chosen], self.prices[chosen], self.properties[chosen]
        )
