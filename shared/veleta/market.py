"""The level of a market: how far the prices of a period are above those of the first one, whatever is sold.

A period's rows show its level by the mean of log(price) - log(price without the level). The level follows a random walk
that is seen with the error of this mean: a local level model (Durbin and Koopman, Time Series Analysis by State Space
Methods, 2012, chapter 2). So few rows move it little. It may have a damped slope (Gardner, Exponential smoothing: the
state of the art, 2006, section 2).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat

from veleta.dataset import Period
from veleta.periods import period_of

Method = Literal["none", "last", "trend"]
"""What is expected of the next period: the mean of all, the last one, or that and a part of the last changes."""
METHODS: tuple[Method, ...] = get_args(Method)
DAYS: Mapping[Period, float] = {"day": 1, "week": 7, "month": 30.4, "quarter": 91.3, "year": 365.25}
MONTHLY_STEP = 0.01
"""The standard deviation of the change of a level in a month, unless the history shows another."""
ENOUGH_PERIODS = 6
"""With so many periods the history shows how much the level changes."""
MIN_DEVIATION = 0.02
"""The least standard deviation of errors, so that a few equal errors are not certain."""
FACTORS = (1.0, 2.0, 4.0, 8.0)
"""The steps that are compared then, as multiples of the usual one. A calm history is no reason to follow less."""
SURPRISE = 2.0
"""A change of more standard deviations shows that the market moves faster than its history did."""
DAMPING, SLOPE_GAIN = 0.8, 0.2
"""The share of a slope that is left after a period, and the share of a change that becomes part of the slope."""
MAX_DEVIATIONS = 5.0
"""An error that is farther from the median, in standard deviations, counts as one at this distance."""
MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution: its standard deviation over the median distance from the median."""
FEW = 0.1
"""A period with a smaller share of the usual number of rows does not count."""
KNOWN_ROWS = 30
"""The deviation of errors in the training counts like that of so many rows. A few rows do not show their own."""
MAX_GROUPS = 1_000
"""The most values of a category whose shares are kept. The training counts as having none of the others."""


class Level(NamedTuple):
    """A level, as a logarithm, with its standard error.

    `value` is what is asked for until later rows are seen. It contains the slope: the change that is expected of the
    next period.
    """

    value: float
    error: float
    slope: float = 0.0


class Seen(NamedTuple):
    """What the rows of a period show of its level: the mean of their signed errors, with its standard error."""

    mean: float
    error: float


class Mix(BaseModel):
    """What the rows of a training are, by the values of a category: their shares, and how much their errors differ.

    `spread` is the standard deviation of the mean errors of the values, without that of chance.
    """

    model_config = ConfigDict(frozen=True)
    spread: FiniteFloat
    shares: dict[str, FiniteFloat]

    def variance(self, values: np.ndarray) -> float:
        """That of a mean error of rows with these values, because they are others than those of the training.

        With the same shares it is 0. With one value only it is nearly that of the spread.
        """
        shares = self._shares(values)
        differences = (shares.get(name, 0.0) - self.shares.get(name, 0.0) for name in {*shares, *self.shares})
        return self.spread**2 * sum(each**2 for each in differences)

    def _shares(self, values: np.ndarray) -> dict[str, float]:
        names, counts = np.unique(values.astype(str), return_counts=True)
        return {name: count / len(values) for name, count in zip(names.tolist(), counts.tolist(), strict=True)}


def mix_of(values: np.ndarray, errors: np.ndarray) -> Mix | None:
    """That of rows with these values of a category and these errors. None if a group of equal values is all or one row.

    The spread is estimated by the moments of a one-way random effects model (Searle, Casella and McCulloch, Variance
    Components, 1992, chapter 3).
    """
    names, codes, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    rows, groups = len(values), len(names)
    if groups < 2 or groups > rows / 2:  # noqa: PLR2004 - there must be a second value, and values with a second row
        return None
    means = np.bincount(codes, errors) / counts
    within = float(((errors - means[codes]) ** 2).sum()) / (rows - groups)
    between = float((counts * (means - errors.mean()) ** 2).sum()) - (groups - 1) * within
    spread = math.sqrt(max(0.0, between / (rows - float((counts**2).sum()) / rows)))
    largest = np.argsort(-counts, kind="stable")[:MAX_GROUPS]
    return Mix(spread=spread, shares={str(names[at]): float(counts[at] / rows) for at in largest})


def bounded(errors: np.ndarray) -> np.ndarray:
    """Errors of which those that are far from the median count as nearer ones. There must be some."""
    middle = float(np.median(errors))
    reach = MAX_DEVIATIONS * max(MAD_TO_DEVIATION * float(np.median(np.abs(errors - middle))), MIN_DEVIATION)
    return np.clip(errors, middle - reach, middle + reach)


def seen_in(errors: np.ndarray, mixes: Sequence[tuple[Mix, np.ndarray]] = (), deviation: float | None = None) -> Seen:
    """What the signed errors of a period's rows show. There must be rows.

    The values of categories, with the mix of the training, make it less certain if the rows are others. `deviation` is
    that of the errors in the training.
    """
    found, rows = bounded(errors), len(errors)
    variance = float(found.var())
    if deviation is not None:
        variance = (KNOWN_ROWS * deviation**2 + rows * variance) / (KNOWN_ROWS + rows)
    other = max((mix.variance(values) for mix, values in mixes), default=0.0)
    return Seen(float(found.mean()), math.sqrt(max(variance, MIN_DEVIATION**2) / rows + other))


def periods_of(days: np.ndarray, every: Period) -> np.ndarray:
    """The number of the period of each day, which is a number itself: see `date.toordinal`."""
    different, positions = np.unique(days, return_inverse=True)
    numbers = [period_of(date.fromordinal(day), every) for day in different.tolist()]
    return np.array(numbers, dtype=np.int64)[positions]


def counted_periods(periods: np.ndarray, usual: Callable[[np.ndarray], float] = np.median) -> list[int]:
    """The periods of rows, in order, without those of a few rows only: so a wrong year in a row is no period.

    `usual` is the number of rows of a period, by those of all.
    """
    numbers, counts = np.unique(periods, return_counts=True)
    return list(numbers[counts >= FEW * usual(counts)].tolist())


def usual_step(every: Period) -> float:
    """The standard deviation of the change of a level from one period to the next."""
    return MONTHLY_STEP * math.sqrt(DAYS[every] / DAYS["month"])


def expected(level: Level, periods: int) -> float:
    """The level that is expected `periods` periods after the last one that was seen; 0: that one itself."""
    return level.value - level.slope + level.slope * sum(DAMPING**passed for passed in range(periods))


def moved(level: Level, seen: Seen, step: float, periods: int = 1, *, trend: bool = False) -> Level:
    """The level after `periods` periods, of which the last one was seen. `step` is the deviation of one change.

    A surprise moves it nearly as far as the rows show. With `trend` its slope changes too.
    """
    before = expected(level, periods)
    variance = level.error**2 + periods * step**2
    difference = seen.mean - before
    most = SURPRISE * math.sqrt(variance + seen.error**2)
    if abs(difference) > most:
        variance = (difference / SURPRISE) ** 2 - seen.error**2
    gain = variance / (variance + seen.error**2)
    slope = 0.0
    if trend:
        slope = DAMPING**periods * level.slope + SLOPE_GAIN * gain * min(max(difference, -most), most)
    return Level(before + gain * difference + slope, math.sqrt((1 - gain) * variance), slope)


def followed(history: Mapping[int, Seen], step: float, method: Method) -> tuple[Level, np.ndarray]:
    """The level after a history, and the squared error of what was expected of each period from the third on.

    The method `none` expects no change: its step is 0.
    """
    first, *later = sorted(history)
    level, last, errors = Level(*history[first]), first, list[float]()
    for period in later:
        errors.append((expected(level, period - last) - history[period].mean) ** 2)
        step = 0.0 if method == "none" else step
        level, last = moved(level, history[period], step, period - last, trend=method == "trend"), period
    return level, np.array(errors[1:])


def best_method(history: Mapping[int, Seen], step: float) -> Method:
    """The method with the smallest error by rolling-origin evaluation: each period is expected by those before it.

    It is `trend`, whose slope is 0 at first, unless another one is better by more than one standard error. A history of
    fewer than ENOUGH_PERIODS shows nothing.
    """
    best: Method = "trend"
    if len(history) < ENOUGH_PERIODS:
        return best
    for method in METHODS:
        gain = followed(history, step, best)[1] - followed(history, step, method)[1]
        if gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)):
            best = method
    return best


def filtered(history: Mapping[int, Seen], step: float) -> dict[int, Level]:
    """The level of each period by what it and the periods before it show. There must be a period."""
    first, *later = sorted(history)
    levels, last = {first: Level(*history[first])}, first
    for period in later:
        variance = levels[last].error ** 2 + (period - last) * step**2
        gain = variance / (variance + history[period].error ** 2)
        value = levels[last].value + gain * (history[period].mean - levels[last].value)
        levels[period] = Level(value, math.sqrt((1 - gain) * variance))
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
