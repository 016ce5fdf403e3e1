"""The levels of a market in a model's file, and the level of a version now, which later batches have moved.

A model of a dataset with a market predicts what a house is worth without the level. The trainer writes the levels of
the periods that it learnt; drift moves the last one with each batch, and inference asks with it: docs/drift.md.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import date
from typing import NamedTuple, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat

from veleta.dataset import Dataset, Period, Values
from veleta.events.catalogue import LevelUpdated
from veleta.features import Features, column_feature
from veleta.market import DAYS, Level, Method, Mix, Seen, seen_in
from veleta.periods import first_day, period_name, period_of

T = TypeVar("T")
METADATA = "market_levels"
"""The key in the metadata of the CatBoost model. Models of datasets without a market, and of earlier versions, have
none."""
PREDICTION = "@prediction"
"""The mix of the bands of the predicted price has this name, which no column has."""


class LevelState(NamedTuple):
    """The level of a version after an update: `seq` counts the updates of a dataset, 0 is the level of the training.

    `as_of` is the date of the newest row that it follows. `waiting` is what a batch showed that would move it too far,
    and `waiting_as_of` the date of its newest row. If a person `pinned` it, batches do not move it.
    """

    seq: int
    as_of: date
    level: Level
    waiting: Seen | None = None
    pinned: bool = False
    waiting_as_of: date | None = None

    @classmethod
    def of_event(cls, payload: LevelUpdated) -> Self:
        """The state that an event reports."""
        waiting = None
        if payload.waiting is not None and payload.waiting_error is not None:
            waiting = Seen(payload.waiting, payload.waiting_error)
        level = Level(payload.value, payload.error, payload.slope)
        return cls(payload.seq, payload.as_of, level, waiting, payload.pinned, payload.waiting_as_of)


class LevelHistory(BaseModel):
    """The updates of a version's level: the last level of each period by its first day, and the present one."""

    model_config = ConfigDict(frozen=True)
    periods: dict[date, Level] = {}
    now: Level | None = None
    """None without an update since the training, or since a reset."""


class MarketLevels(BaseModel):
    """What a training found of its market. All levels are logarithms, relative to the first period's.

    `levels` has the smoothed level of each period by its number, and `now` what is asked for after the last one.
    `mixes` has what the rows were by category, and `edges` the logarithms between bands of the predicted price.
    """

    model_config = ConfigDict(frozen=True)
    time: str
    """The column with the date of each row's sale."""
    every: Period
    method: Method
    step: FiniteFloat
    """The standard deviation of the level's change from one period to the next."""
    levels: dict[int, Level]
    now: Level
    first: date
    last: date
    """The dates of the first and of the last row."""
    deviation: FiniteFloat | None = None
    """The standard deviation of the errors."""
    bias: FiniteFloat = 0.0
    """The mean error that is no level: a target above the cap of the training counts as the cap there."""
    mixes: dict[str, Mix] = {}
    edges: list[FiniteFloat] = []

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> Self | None:
        """That in a model's metadata, if it has one. Raises ValueError if it cannot be read."""
        text = metadata.get(METADATA)
        return cls.model_validate_json(text) if text else None

    def save(self, metadata: MutableMapping[str, str]) -> None:
        """Add it to a model's metadata."""
        metadata[METADATA] = self.model_dump_json()

    @property
    def state(self) -> LevelState:
        """The level at the end of the training."""
        return LevelState(0, self.last, self.now)

    @property
    def since(self) -> str:
        """The first period, whose level is 0: `2014-05`."""
        return period_name(period_of(self.first, self.every), self.every)

    @property
    def steps(self) -> float:
        """`step`, or 0 if the method expects no change."""
        return 0.0 if self.method == "none" else self.step

    def with_updates(self, history: LevelHistory) -> Self:
        """These levels with those of later updates."""
        later = {period_of(day, self.every): each for day, each in history.periods.items()}
        return self.model_copy(update={"levels": self.levels | later, "now": history.now or self.now})

    def of_period(self, number: int) -> Level:
        """The level of a period, or of the last one before it that has rows, and of the first one at the earliest.

        That of a later period is the one that is asked for now.
        """
        return self.now if number > max(self.levels) else nearest(self.levels, number)

    def variance(self, state: LevelState, days: float = 0.0) -> float:
        """That of the level that is asked for, so many days after its last update: the next step is not yet known."""
        return state.level.error**2 + self.steps**2 * (1 + max(0.0, days) / DAYS[self.every])

    def seen(self, dataset: Dataset, rows: Sequence[Values], signed: np.ndarray, logarithms: np.ndarray) -> Seen:
        """What rows show, by log(price) - log(price without the level), and the latter, which is the prediction."""
        categories = {info.name for info in Features(dataset).infos if info.categorical and info.is_column}
        columns = [dataset.by_name[name] for name in self.mixes if name in categories]
        values = {c.name: np.array([column_feature(c, row[c.name]) for row in rows], object) for c in columns}
        return self.seen_of(signed, values, logarithms)

    def seen_of(self, signed: np.ndarray, values: Mapping[str, np.ndarray], logarithms: np.ndarray) -> Seen:
        """As `seen`, with the values of the categories by their names."""
        known = {**values, PREDICTION: bands(self.edges, logarithms)}
        mixes = [(mix, known[name]) for name, mix in self.mixes.items() if name in known]
        return seen_in(signed - self.bias, mixes, self.deviation)


def history_of(updates: Iterable[LevelUpdated]) -> LevelHistory:
    """The history after the updates of one version, in order.

    A level that a batch did not move is none of its period, and a reset takes back what is before it.
    """
    periods, now = dict[date, Level](), None
    for each in updates:
        if each.outcome == "reset":
            periods, now = {}, None
            continue
        now = Level(each.value, each.error, each.slope)
        if each.outcome in ("moved", "confirmed", "accepted"):
            periods |= {earlier.period: Level(earlier.value, earlier.error) for earlier in each.earlier}
            periods[each.period] = Level(each.value - each.slope, each.error)
    return LevelHistory(periods=periods, now=now)


def nearest(levels: Mapping[int, T], number: int) -> T:
    """That of a period, or of the last one before it, and of the first one at the earliest. There must be one."""
    numbers = sorted(levels)
    return levels[numbers[max(0, bisect_right(numbers, number) - 1)]]


def bands(edges: Sequence[float], logarithms: np.ndarray) -> np.ndarray:
    """The band of each predicted logarithm, as a text."""
    return np.searchsorted(np.asarray(edges, float), logarithms).astype(str)


def first_day_of(day: date, every: Period) -> date:
    """The first day of the period that a day is in."""
    return first_day(period_of(day, every), every)
