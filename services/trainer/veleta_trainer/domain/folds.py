"""Out-of-fold predictions: how good the model of a training is on rows that it did not learn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from veleta.dataset import Dataset
from veleta_trainer.domain.clean_rows import CleanRows
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.market_model import fit_models
from veleta_trainer.domain.price_model import fit_price_model, predict_prices

CALIBRATION_SHARE = 5
"""One of so many properties outside a fold calibrates its intervals, as the holdout of a training does."""


@dataclass(frozen=True)
class FoldPredictions:
    """The fold, the prediction and the interval of each row, in the target's unit. `low` is NaN without an interval.

    `sizes` is the expected |error of the logarithm|.
    """

    folds: np.ndarray
    predictions: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sizes: np.ndarray


def property_folds(properties: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each row, from 0. All rows of a property are in one fold; `seed` decides in which."""
    unique, positions = np.unique(properties, return_inverse=True)
    return np.asarray((np.random.default_rng(seed).permutation(len(unique)) % folds)[positions])


def out_of_fold(
    dataset: Dataset,
    rows: CleanRows,
    params: Mapping[str, Any],
    folds: int,
    seed: int,
    threads: int,
    report: Callable[[int], None],
) -> FoldPredictions:
    """Predict each row by models that were fitted on the other folds.

    The price is that of a model which learnt from all of them. For the interval a part is held back, as in a training.
    `report` gets the number of folds that are done.
    """
    labelled, params = rows.labelled(), {**params, "random_seed": seed}
    fold_of = property_folds(labelled.properties, folds, seed)
    held = property_folds(labelled.properties, CALIBRATION_SHARE, seed + 1) == 0
    predictions, low, high, sizes = (np.empty(len(rows)) for _ in range(4))
    for fold in range(folds):
        report(fold)
        inside, outside = fold_of == fold, fold_of != fold
        models = fit_models(dataset, labelled.part(outside & ~held), params, threads)
        levels = labelled.levels(models.market)
        house, market = labelled.at(levels), np.exp(levels[inside])
        whole = house.part(outside)
        booster = fit_price_model(dataset, whole.frame, whole.prices, params, threads)
        predictions[inside] = market * predict_prices(booster, dataset, house.frame[inside])
        found = HoldoutPredictions.of_models(dataset, models.both, house.part(inside))
        calibrating = HoldoutPredictions.of_models(dataset, models.both, house.part(outside & held))
        bounds = found.intervals(calibrating.calibration())
        low[inside], high[inside] = (market * bound for bound in bounds)
        sizes[inside] = found.sizes
    return FoldPredictions(fold_of, predictions, low, high, sizes)
