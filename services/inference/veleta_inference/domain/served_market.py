"""The levels of the market that a served version asks its prices at: of its training, and after the updates since."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple, Self

from veleta.dataset import Column
from veleta.errors import Reject
from veleta.events.catalogue import LevelUpdated
from veleta.market import Level
from veleta.market_levels import LevelState, MarketLevels, history_of, nearest
from veleta.periods import first_day, period_of
from veleta_inference.domain.errors import InvalidRequest
from veleta_inference.domain.messages import shown
from veleta_inference.domain.responses import Market

AS_OF = "as_of"
"""The day whose prices a request asks for, in a body of any protocol."""
NO_MARKET = "is not known: without [market] in the dataset file, prices have no day"
NO_LEVELS = "as_of is not possible: the served version has no levels of the market"
MAX_LEVEL = 20.0
"""Above it a level, a logarithm, is a fault: no market's prices grow a hundred million times."""
SECONDS_PER_DAY = 86_400.0
_DAY = Column(name=AS_OF, title=AS_OF, kind="date")


class PriceLevel(NamedTuple):
    """The level of a request's prices, relative to the period `since`.

    `value` is a logarithm with a `variance`. `seq` is the update that it is from, 0: the training.
    """

    as_of: date
    value: float
    variance: float
    seq: int
    since: str

    @property
    def factor(self) -> float:
        """How many times the prices of the first period these are."""
        return math.exp(self.value)


class PeriodLevel(NamedTuple):
    """The level of a period, and the update that it is from."""

    seq: int
    level: Level


@dataclass(frozen=True)
class LevelUpdates:
    """The updates of a version's level: the last one with its time, and the last one of each period, by first day.

    A reset takes back what the updates before it showed.
    """

    state: LevelState
    updated_at: datetime
    periods: Mapping[date, PeriodLevel]

    @classmethod
    def after(cls, before: Self | None, payload: LevelUpdated, time: datetime) -> Self:
        """Those with one update more. An update that is not later than the last one changes nothing.

        Raises:
            Reject: the level is no factor of prices.
        """
        if abs(payload.value) > MAX_LEVEL:
            raise Reject("the level of the market is no factor of prices", f"its logarithm is {payload.value:g}")
        if before and payload.seq <= before.state.seq:
            return before
        state = LevelState.of_event(payload)
        if payload.outcome == "reset":
            return cls(state, time, {})
        found = {day: PeriodLevel(state.seq, level) for day, level in history_of([payload]).periods.items()}
        return cls(state, time, {**(before.periods if before else {}), **found})


@dataclass(frozen=True)
class ServedMarket:
    """The levels of a version's training with its updates, if there are some."""

    levels: MarketLevels
    updates: LevelUpdates | None = None

    def updated(self, updates: LevelUpdates | None) -> Self:
        """The same levels after updates."""
        return self if updates is self.updates else replace(self, updates=updates)

    @property
    def state(self) -> LevelState:
        """The present level."""
        return self.updates.state if self.updates else self.levels.state

    @property
    def factor(self) -> float:
        """How many times the prices of the first period the present ones are."""
        return math.exp(self.state.level.value)

    @cached_property
    def since(self) -> str:
        """The first period, whose level is 0: `2014-05`."""
        return self.levels.since

    @cached_property
    def periods(self) -> Mapping[int, PeriodLevel]:
        """The level of each period by its number, up to the present one."""
        every = self.levels.every
        present = period_of(self.state.as_of, every)
        found = {number: PeriodLevel(0, level) for number, level in self.levels.levels.items()}
        if self.updates:
            found |= {period_of(day, every): each for day, each in self.updates.periods.items()}
        return {number: found[number] for number in sorted(found) if number <= present}

    def level(self, as_of: object, now: datetime, trained_at: datetime | None) -> PriceLevel:
        """The level of the day that a request asks for. None: the present one, less certain with each day that passes.

        Raises:
            InvalidRequest: it is no day of the history.
        """
        state = self.state
        day = state.as_of if as_of is None else self._day(as_of)
        if day != state.as_of:
            seq, level = nearest(self.periods, period_of(day, self.levels.every))
            return PriceLevel(day, level.value, level.error**2, seq, self.since)
        updated_at = self.updates.updated_at if self.updates else trained_at
        days = (now - updated_at).total_seconds() / SECONDS_PER_DAY if updated_at else 0.0
        return PriceLevel(day, state.level.value, self.levels.variance(state, days), state.seq, self.since)

    def details(self) -> Market:
        """As GET /model shows it."""
        state, every = self.state, self.levels.every
        return {
            "time": self.levels.time,
            "every": every,
            "method": self.levels.method,
            "since": self.since,
            "first": self.levels.first,
            "as_of": state.as_of,
            "factor": self.factor,
            "error": state.level.error,
            "level_seq": state.seq,
            "pinned": state.pinned,
            "waiting": math.exp(min(state.waiting.mean, MAX_LEVEL)) if state.waiting else None,
            "periods": [
                {"period": first_day(number, every), "factor": math.exp(each.level.value), "error": each.level.error}
                for number, each in self.periods.items()
            ],
        }

    def _day(self, as_of: object) -> date:
        day = as_of if isinstance(as_of, date) else _DAY.convert(as_of)
        first, last = self.levels.first, self.state.as_of
        if not isinstance(day, date) or not first <= day <= last:
            raise InvalidRequest(f"as_of must be a day from {first} to {last}, not {shown(as_of)}", [])
        return day
