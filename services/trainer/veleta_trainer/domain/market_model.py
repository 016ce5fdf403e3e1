"""Fits the model of prices in a market: what a house is worth, and the level of the prices of each period."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor

from veleta.dataset import Dataset, Period
from veleta.market import Level, Seen, likely_step, seen_in, smoothed
from veleta_trainer.domain.interval_model import error_model_of, out_of_fold_errors
from veleta_trainer.domain.price_model import fit_price_model

TURNS = 2
"""The levels and the model of houses are estimated by turns. More turns change no level by more than its error."""


@dataclass(frozen=True)
class MarketFit:
    """A model of prices without the level, the model of its errors, and the level of each period of its training."""

    booster: CatBoostRegressor
    error_model: CatBoostRegressor
    levels: Mapping[int, Level]
    step: float
    """The standard deviation of the level's change from one period to the next."""


def fit_in_market(
    dataset: Dataset,
    frame: pd.DataFrame,
    prices: np.ndarray,
    properties: np.ndarray,
    periods: np.ndarray,
    every: Period,
    params: Mapping[str, Any],
    threads: int,
) -> MarketFit:
    """Fit on features (rows x features) with prices in the target's unit, and the number of each row's period.

    Levels are those of errors on houses that the predicting model was not fitted on. Its own rows would show less,
    because trees learn the level of a period from what was sold in it.
    """
    levels = dict.fromkeys(np.unique(periods).tolist(), Level(0.0, 0.0))
    for _ in range(TURNS):
        offsets = level_of_rows(levels, periods)
        chosen, errors = out_of_fold_errors(dataset, frame, prices / np.exp(offsets), properties, params, threads)
        history = _history(periods[chosen], errors + offsets[chosen])
        step = likely_step(history, every)
        levels = smoothed(history, step)
    booster = fit_price_model(dataset, frame, prices / np.exp(level_of_rows(levels, periods)), params, threads)
    return MarketFit(booster, error_model_of(dataset, frame[chosen], errors, params, threads), levels, step)


def level_of_rows(levels: Mapping[int, Level], periods: np.ndarray) -> np.ndarray:
    """The level of each row's period."""
    numbers, positions = np.unique(periods, return_inverse=True)
    found: np.ndarray = np.array([levels[number].value for number in numbers.tolist()])[positions]
    return found


def _history(periods: np.ndarray, errors: np.ndarray) -> dict[int, Seen]:
    """What signed errors show of the level of each period."""
    return {period: seen_in(errors[periods == period]) for period in np.unique(periods).tolist()}
