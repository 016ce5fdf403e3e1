"""Fits the model of prices: CatBoost on the logarithm of the target."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset
from veleta.features import MISSING_COUNT, Features


def fit_price_model(
    dataset: Dataset,
    frame: pd.DataFrame,
    prices: np.ndarray,
    params: Mapping[str, Any],
    threads: int,
    callbacks: Sequence[object] = (),
) -> CatBoostRegressor:
    """A model that predicts the natural logarithm of the price of features (rows x features).

    `prices` are in the target's unit. Those above the dataset's cap count as the cap. Rows with gaps have the dataset's
    weight of incomplete rows. The trees learn differences from the mean logarithm, because constraints on trends need a
    centred target; the model's bias contains the mean.
    """
    features, rule = Features(dataset), dataset.training
    logarithms = np.log(np.minimum(prices, math.inf if rule.cap is None else rule.cap))
    centre = logarithms.mean()
    trends = [each.trend for each in features.infos]
    constraints = {"monotone_constraints": trends} if any(trends) else {}
    booster = CatBoostRegressor(**params, **constraints, thread_count=threads, allow_writing_files=False, verbose=False)
    weights = np.where(is_complete(frame), 1.0, rule.incomplete_weight) if MISSING_COUNT in frame else None
    pool = Pool(frame, logarithms - centre, cat_features=features.categorical, weight=weights)
    booster.fit(pool, callbacks=list(callbacks) or None)
    scale, bias = booster.get_scale_and_bias()
    booster.set_scale_and_bias(scale, bias + centre)
    return booster


def is_complete(frame: pd.DataFrame) -> np.ndarray:
    """Which rows of features, as a mask, have a value in each optional column. The dataset must have some."""
    return (frame[MISSING_COUNT] == 0).to_numpy()


def predict(booster: CatBoostRegressor, dataset: Dataset, frame: pd.DataFrame) -> np.ndarray:
    """What a model predicts from features (rows x features). `frame` may have more columns than the model has features.

    A model of prices predicts their natural logarithms.
    """
    features = Features(dataset, booster.feature_names_)
    return np.asarray(booster.predict(Pool(frame[features.names], cat_features=features.categorical)))


def predict_prices(booster: CatBoostRegressor, dataset: Dataset, frame: pd.DataFrame) -> np.ndarray:
    """The prices of features (rows x features), in the target's unit."""
    return np.asarray(np.exp(predict(booster, dataset, frame)))
