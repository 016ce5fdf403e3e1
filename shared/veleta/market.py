"""The level of a market: how far the prices of a period are above those of the first one, whatever is sold.

A period's rows show its level by the mean of log(price) - log(price without the level). The level follows a random walk
that is seen with the error of this mean: a local level model (Durbin and Koopman, Time Series Analysis by State Space
Methods, 2012, chapter 2). So few rows move it little.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from veleta.dataset import Period

DAYS: Mapping[Period, float] = {"day": 1, "week": 7, "month": 30.4, "quarter": 91.3, "year": 365.25}
MONTHLY_STEP = 0.01
"""The standard deviation of the change of a level in a month, unless the history shows another."""
ENOUGH_PERIODS = 6
"""With so many periods the history shows how much the level changes."""
MIN_DEVIATION = 0.02
"""The least standard deviation of errors, so that a few equal errors are not certain."""
FACTORS = (1.0, 2.0, 4.0, 8.0)
"""The steps that are compared then, as multiples of the usual one. A calm history is no reason to follow less."""


class Level(NamedTuple):
    """A level, as a logarithm, with its standard error."""

    value: float
    error: float


class Seen(NamedTuple):
    """What the rows of a period show of its level: the mean of their signed errors, with its standard error."""

    mean: float
    error: float


def seen_in(errors: np.ndarray) -> Seen:
    """What the signed errors of a period's rows show. There must be rows."""
    spread = max(float(errors.std()), MIN_DEVIATION)
    return Seen(float(errors.mean()), spread / math.sqrt(len(errors)))


def usual_step(every: Period) -> float:
    """The standard deviation of the change of a level from one period to the next."""
    return MONTHLY_STEP * math.sqrt(DAYS[every] / DAYS["month"])


def moved(level: Level, seen: Seen, step: float, periods: int = 1) -> Level:
    """The level after `periods` periods, of which the last one was seen. `step` is the deviation of one change."""
    variance = level.error**2 + periods * step**2
    gain = variance / (variance + seen.error**2)
    return Level(level.value + gain * (seen.mean - level.value), math.sqrt((1 - gain) * variance))


def filtered(history: Mapping[int, Seen], step: float) -> dict[int, Level]:
    """The level of each period by what it and the periods before it show. There must be a period."""
    first, *later = sorted(history)
    levels, last = {first: Level(*history[first])}, first
    for period in later:
        levels[period] = moved(levels[last], history[period], step, period - last)
        last = period
    return levels


def smoothed(history: Mapping[int, Seen], step: float) -> dict[int, Level]:
    """The level of each period by what all periods show (the Rauch-Tung-Striebel smoother)."""
    forward = filtered(history, step)
    periods = sorted(forward)
    found = {periods[-1]: forward[periods[-1]]}
    for period, after in zip(periods[-2::-1], periods[:0:-1], strict=True):
        here, variance = forward[period], forward[period].error ** 2
        predicted = variance + (after - period) * step**2
        share = variance / predicted if predicted else 0.0
        value = here.value + share * (found[after].value - here.value)
        found[period] = Level(value, math.sqrt(max(0.0, variance + share**2 * (found[after].error ** 2 - predicted))))
    return dict(sorted(found.items()))


def likely_step(history: Mapping[int, Seen], every: Period) -> float:
    """The step under which the history is most likely: the usual one at least, and also if the history is short."""
    usual = usual_step(every)
    if len(history) < ENOUGH_PERIODS:
        return usual
    return max((factor * usual for factor in FACTORS), key=lambda step: _log_likelihood(history, step))


def _log_likelihood(history: Mapping[int, Seen], step: float) -> float:
    """Up to a constant, by the errors of the one-step predictions."""
    levels, total = filtered(history, step), 0.0
    periods = sorted(history)
    for before, period in pairwise(periods):
        variance = levels[before].error ** 2 + (period - before) * step**2 + history[period].error ** 2
        total -= (math.log(variance) + (history[period].mean - levels[before].value) ** 2 / variance) / 2
    return total
