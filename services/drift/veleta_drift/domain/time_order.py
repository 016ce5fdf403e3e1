"""Runs policies through the periods of a history, in order of time, with what models of the past predict."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from veleta.dataset import Dataset, MarketRule, Values
from veleta.intervals import COVERAGE, DEVIATIONS, Calibration, next_level
from veleta.market_levels import LevelState
from veleta.origins import OriginModel, Predictions
from veleta_drift.domain import evidence, threshold_rule
from veleta_drift.domain.evidence import Evidence, judge
from veleta_drift.domain.inputs_arm import Presence
from veleta_drift.domain.level_updates import SeenPeriod, after_batch
from veleta_drift.domain.row_sample import MAX_ROWS, inputs_of, slices_of
from veleta_drift.domain.samples import Errors
from veleta_drift.domain.statistics import Statistics, statistics_of
from veleta_drift.domain.threshold_rule import compare

GROWTH = 1.5
"""A training is due if there are so many times the rows of the last one, whatever they say."""


@dataclass(frozen=True)
class Champion:
    """The model that predicts the next period, the state of its level, and the level of its intervals."""

    model: OriginModel
    state: LevelState | None
    interval_level: float = COVERAGE

    @property
    def level(self) -> float:
        """The level of prices, 0 if the model contains it."""
        return self.state.level.value if self.state else 0.0

    @property
    def position(self) -> int:
        """That of the last period which it learnt."""
        return self.model.origin


@dataclass(frozen=True)
class Period:
    """A period that was predicted: what the champion predicts without the level, signed errors, and expected sizes."""

    position: int
    rows: np.ndarray
    """The positions of its rows."""
    logarithms: np.ndarray
    signed: np.ndarray
    sizes: np.ndarray
    champion: Champion


@dataclass(frozen=True)
class Policy:
    """Whether the level of prices is separate from the model and follows each period, and when a training is due."""

    follows: bool
    due: "Callable[[History, Period, float], bool]"


class History:
    """The clean rows of a file by period, and what models of the past predict for them."""

    def __init__(self, dataset: Dataset, rows: Sequence[Values], predictions: Predictions) -> None:
        self.dataset = dataset
        self._rows, self._predictions = rows, predictions
        periods = np.array(predictions.origins.periods)
        self.numbers: list[int] = np.unique(periods).tolist()
        self.positions = [np.flatnonzero(periods == number) for number in self.numbers]
        self.logarithms = np.log(np.array([row[dataset.target] for row in rows], float))
        self._position_of = np.searchsorted(self.numbers, periods)

    @property
    def first(self) -> int:
        """The position of the period after which the first model is trained."""
        return min(each.origin for each in self._predictions.origins.models)

    def champion(self, origin: int, *, follows: bool) -> Champion:
        """The model that is trained after a period."""
        model = self._predictions.model(origin, house=follows)
        return Champion(model, model.market.state if model.market else None)

    def period(self, position: int, champion: Champion) -> Period:
        """What a champion predicts for a later period."""
        rows, logarithms, sizes = self._predicted(champion.model)
        chosen = self._position_of[rows] == position
        found = rows[chosen]
        signed = self.logarithms[found] - logarithms[chosen]
        return Period(position, found, logarithms[chosen], signed, sizes[chosen], champion)

    def seen(self, period: Period) -> SeenPeriod:
        """What the rows of a period show of its level. The champion must have one."""
        market = period.champion.model.market
        if market is None:
            raise TypeError("the champion contains the level")
        rows = [self._rows[row] for row in period.rows]
        as_of: date = max(row[market.time] for row in rows)
        seen = market.seen(self.dataset, rows, period.signed, period.logarithms)
        return SeenPeriod(self.numbers[period.position], seen, as_of, len(rows))

    def rows_until(self, position: int) -> int:
        """The number of rows of a period and all before it."""
        return int((self._position_of <= position).sum())

    def statistics(self, position: int) -> Statistics:
        """Those of the 15 % rule."""
        rows = [self._rows[row] for row in self.positions[position]]
        return statistics_of(
            {name: np.array([row[name] for row in rows], float) for name in self.dataset.drift_columns}
        )

    def learnt(self, champion: Champion) -> Evidence:
        """What a champion learnt from, and its errors on its holdout.

        With a level they are those on the last period of the model before: as the trainer leaves them (`LaterErrors`).
        The first model has none before it, and errors of its holdout without their mean.
        """
        past = np.flatnonzero(self._position_of <= champion.position)
        if champion.state and champion.position > self.first:
            last = self.period(champion.position, self.champion(champion.position - 1, follows=True))
            return self._evidence(past, last.rows, last.signed - last.signed.mean(), last.sizes)
        rows, logarithms, sizes = self._predicted(champion.model)
        held = self._position_of[rows] <= champion.position
        found = rows[held]
        signed = self.logarithms[found] - logarithms[held]
        if champion.state:
            signed = signed - signed.mean()
        return self._evidence(past, found, signed, sizes[held])

    def batch(self, period: Period, level: float) -> Evidence:
        """The rows of a period, and the champion's errors with prices moved by a level."""
        return self._evidence(period.rows, period.rows, period.signed - level, period.sizes)

    def presence(self, position: int) -> Presence:
        """How many values of each column there are."""
        rows = [self._rows[row] for row in self.positions[position]]
        names = [c.name for c in self.dataset.columns if c.name not in self.dataset.drift.ignore]
        return Presence(len(rows), {name: sum(row[name] is not None for row in rows) for name in names})

    def _predicted(self, model: OriginModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._predictions.of(model.origin, house=model.house)

    def _evidence(self, inputs: np.ndarray, rows: np.ndarray, signed: np.ndarray, sizes: np.ndarray) -> Evidence:
        sampled = [self._rows[row] for row in inputs[:: max(1, math.ceil(len(inputs) / MAX_ROWS))]]
        slices = slices_of(self.dataset, [self._rows[row] for row in rows])
        return Evidence(inputs_of(self.dataset, sampled), Errors(signed, sizes, slices))


def _never(_history: History, _period: Period, _level: float) -> bool:
    return False


def _always(_history: History, _period: Period, _level: float) -> bool:
    return True


def _threshold(history: History, period: Period, _level: float) -> bool:
    before, after = history.statistics(period.position - 1), history.statistics(period.position)
    return compare(history.dataset, before, after).verdict == "drift"


def _evidence(history: History, period: Period, level: float) -> bool:
    """Whether the champion is wrong about what is left after the level has moved."""
    presence = history.presence(period.position - 1), history.presence(period.position)
    batch = history.batch(period, level)
    return judge(history.dataset, history.learnt(period.champion), batch, presence).verdict == "drift"


def _evidence_or_growth(history: History, period: Period, level: float) -> bool:
    grown = history.rows_until(period.position) >= GROWTH * period.champion.model.rows
    return grown or _evidence(history, period, level)


POLICIES: Mapping[str, Policy] = {
    "never": Policy(follows=False, due=_never),
    "always": Policy(follows=False, due=_always),
    threshold_rule.POLICY: Policy(follows=False, due=_threshold),
    evidence.POLICY: Policy(follows=False, due=_evidence),
    "level_only": Policy(follows=True, due=_never),
    "level": Policy(follows=True, due=_evidence_or_growth),
}


def run(history: History, policy: Policy) -> list[dict[str, Any]]:
    """Predict one period after the other, and then decide about a training: the measures of each period."""
    champion = history.champion(history.first, follows=policy.follows)
    found = []
    for position in range(history.first + 1, len(history.numbers)):
        period = history.period(position, champion)
        measures, coverage = _measures(history, period)
        champion = replace(
            champion,
            state=_followed(history, period),
            interval_level=next_level(champion.interval_level, coverage, len(period.rows)),
        )
        level, seconds = champion.level, 0.0
        trained = position < len(history.numbers) - 1 and policy.due(history, period, level)
        if trained:
            champion = history.champion(position, follows=policy.follows)
            seconds = champion.model.seconds
        number = history.numbers[position]
        found.append({"period": number, **measures, "trained": trained, "level": level, "seconds": seconds})
    return found


def _followed(history: History, period: Period) -> LevelState | None:
    """The level after a period, as drift moves it in a run."""
    champion = period.champion
    if champion.state is None or champion.model.market is None:
        return None
    rule = history.dataset.market or MarketRule(time=champion.model.market.time)
    return after_batch(champion.model.market, champion.state, [history.seen(period)], rule).state


def _measures(history: History, period: Period) -> tuple[dict[str, Any], float]:
    """The measures of the prices that a champion predicted for a period, and the coverage of its intervals."""
    champion, prices = period.champion, np.exp(history.logarithms[period.rows])
    errors = period.signed - champion.level
    predicted = prices / np.exp(errors)
    inside = np.abs(errors) <= _half_widths(champion, period.logarithms, period.sizes)
    mae = float(np.abs(predicted - prices).mean())
    coverage = float(inside.mean())
    return {"rows": len(prices), "mae": mae, "bias": float(errors.mean()), "coverage": coverage}, coverage


def _half_widths(champion: Champion, logarithms: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Those of the intervals of logarithms: they are wider if the level is not certain."""
    calibration: Calibration = champion.model.calibration
    factors = np.array([math.nan if each is None else each for each in calibration.factors(champion.interval_level)])
    widths = factors[np.searchsorted(calibration.edges, logarithms)] * sizes
    market, state = champion.model.market, champion.state
    uncertain = market.variance(state) if market and state else 0.0
    found: np.ndarray = np.sqrt(widths**2 + DEVIATIONS**2 * uncertain)
    return found
