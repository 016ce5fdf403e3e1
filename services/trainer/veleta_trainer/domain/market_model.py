"""Fits the models of a version. In a market, these are what a house is worth and the level of prices of each period."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from catboost import CatBoostRegressor

from veleta.dataset import Dataset, MarketRule, Period
from veleta.errors import Reject, one_line
from veleta.features import Features
from veleta.market import (
    Level,
    Seen,
    best_method,
    bounded,
    counted_periods,
    followed,
    likely_step,
    mix_of,
    periods_of,
    seen_in,
    smoothed,
)
from veleta.market_levels import PREDICTION, LevelHistory, MarketLevels, bands
from veleta_trainer.domain.interval_model import error_model_of, fit_error_model, out_of_fold_errors
from veleta_trainer.domain.labelled_rows import LabelledRows
from veleta_trainer.domain.price_model import fit_price_model

TURNS = 2
"""The levels and the model of houses are estimated by turns. More turns change no level by more than its error."""
PERIOD_ROWS = 500
"""A period is as long as it takes for so many rows, if the dataset file does not declare it."""
LENGTHS: tuple[Period, ...] = ("week", "month", "quarter", "year")
BANDS = 5


@dataclass(frozen=True)
class VersionModels:
    """A model of prices, the model of its errors, and the levels of the market that are taken out of both."""

    booster: CatBoostRegressor
    error_model: CatBoostRegressor
    market: MarketLevels | None = None

    @property
    def both(self) -> tuple[CatBoostRegressor, CatBoostRegressor]:
        """The model of prices and the model of its errors."""
        return self.booster, self.error_model


def fit_models(
    dataset: Dataset,
    rows: LabelledRows,
    params: Mapping[str, Any],
    threads: int,
    callbacks: Sequence[object] = (),
    report: Callable[[str], None] = lambda _phase: None,
) -> VersionModels:
    """Fit on rows. Without a market the model of prices contains their level.

    `callbacks` are CatBoost's for the model of prices. `report` gets the name of what is done beside it.
    """
    if dataset.market is None or rows.days is None:
        booster = fit_price_model(dataset, rows.frame, rows.prices, params, threads, callbacks)
        report("learning errors")
        error_model = fit_error_model(dataset, rows.frame, rows.prices, rows.properties, params, threads)
        return VersionModels(booster, error_model)
    report("learning the level of prices")
    return _fit_in_market(dataset, dataset.market, rows, rows.days, params, threads, callbacks)


def _fit_in_market(
    dataset: Dataset,
    rule: MarketRule,
    rows: LabelledRows,
    days: np.ndarray,
    params: Mapping[str, Any],
    threads: int,
    callbacks: Sequence[object],
) -> VersionModels:
    """Fit the levels and the model of houses by turns.

    Levels are those of errors on houses that the predicting model was not fitted on. Its own rows would show less,
    because trees learn the level of a period from what was sold in it.
    """
    every = rule.every or period_length(days)
    periods = periods_of(days, every)
    counted = counted_periods(periods)
    inside = days[np.isin(periods, counted)]
    first, last = date.fromordinal(int(inside.min())), date.fromordinal(int(inside.max()))
    none = Level(0.0, 0.0)
    market = MarketLevels(
        time=rule.time,
        every=every,
        method="last",
        step=0.0,
        levels={counted[0]: none},
        now=none,
        first=first,
        last=last,
    )
    for _ in range(TURNS):
        house = rows.at(rows.levels(market))
        chosen, errors = out_of_fold_errors(dataset, house.frame, house.prices, house.properties, params, threads)
        whole = errors + rows.part(chosen).levels(market)
        market = _estimated(market, periods[chosen], whole, counted)
    house = rows.at(rows.levels(market))
    booster = fit_price_model(dataset, house.frame, house.prices, params, threads, callbacks)
    left = whole - rows.part(chosen).levels(market)
    part = house.part(chosen)
    error_model = error_model_of(dataset, part.frame, left, params, threads)
    # Those of the last turn are errors of a model that was fitted without the levels that are found by them.
    market = market.model_copy(update={"bias": seen_in(errors).mean, "deviation": float(bounded(left).std())})
    return VersionModels(booster, error_model, _with_mixes(dataset, market, part, left))


def levels_of(booster: CatBoostRegressor, history: LevelHistory) -> MarketLevels | None:
    """The levels of a model: of its training, and of later updates. None if its prices contain the level.

    Raises Reject: its file is damaged.
    """
    try:
        market = MarketLevels.of_model(booster.get_metadata())
    except ValueError as error:
        raise Reject("the model's file is damaged", one_line(error)) from error
    return market.with_updates(history) if market else None


def period_length(days: np.ndarray) -> Period:
    """The shortest period with PERIOD_ROWS rows, or a year. `days` are numbers: see `date.toordinal`."""
    for every in LENGTHS:
        _, counts = np.unique(periods_of(days, every), return_counts=True)
        if np.median(counts) >= PERIOD_ROWS:
            return every
    return LENGTHS[-1]


def _estimated(market: MarketLevels, periods: np.ndarray, errors: np.ndarray, counted: Sequence[int]) -> MarketLevels:
    """The levels by the signed errors of a model without level. The first one is 0: the model contains it."""
    seen = {number: seen_in(errors[periods == number]) for number in counted if (periods == number).any()}
    step = likely_step(seen, market.every)
    levels = smoothed(seen, step)
    base = levels[min(levels)].value
    levels = {number: level._replace(value=level.value - base) for number, level in levels.items()}
    history = {number: Seen(each.mean - base, each.error) for number, each in seen.items()}
    method = best_method(history, step)
    now, _ = followed(history, step, method)
    return market.model_copy(update={"levels": levels, "step": step, "method": method, "now": now})


def _with_mixes(dataset: Dataset, market: MarketLevels, house: LabelledRows, errors: np.ndarray) -> MarketLevels:
    """The levels with what the rows were: by each category, and by bands of the predicted price."""
    logarithms = np.log(house.prices) - errors
    edges = np.quantile(logarithms, np.arange(1, BANDS) / BANDS).tolist()
    own = [info.name for info in Features(dataset).infos if info.categorical and info.is_column]
    values = {name: house.frame[name].to_numpy() for name in own} | {PREDICTION: bands(edges, logarithms)}
    mixes = {name: found for name, each in values.items() if (found := mix_of(each, errors))}
    return market.model_copy(update={"mixes": mixes, "edges": edges})
