"""How the level of the champion follows a batch."""

import math
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from veleta.dataset import Dataset, MarketRule, Values
from veleta.events.catalogue import LevelOutcome, LevelUpdated
from veleta.market import Level, Seen, counted_periods, moved, periods_of
from veleta.market_levels import LevelState, MarketLevels, history_of, nearest
from veleta.periods import period_of

MAX_JUMP = math.log(2)
"""No two batches move the level farther than this: prices that double or halve are a fault, or a person accepts it."""
MAX_DAYS = 731
"""A batch whose rows are newer by more days, two years, does not move the level."""
AGREEMENT = 3.0
"""Two batches agree if what they show differs by at most so many standard errors."""


class SeenPeriod(NamedTuple):
    """What the rows of a batch from one period show. `as_of` is the date of the newest one."""

    number: int
    seen: Seen
    as_of: date
    rows: int


class LevelChange(NamedTuple):
    """What a batch or a command did to the level, with a reason for people."""

    state: LevelState
    outcome: LevelOutcome
    reason: str
    seen: Seen | None = None
    rows: int = 0
    earlier: tuple[tuple[int, Level], ...] = ()
    """The levels of further periods of the batch, by number."""


def seen_periods(
    dataset: Dataset, market: MarketLevels, rows: Sequence[Values], logarithms: np.ndarray
) -> list[SeenPeriod]:
    """What clean rows show, by period. `logarithms` has their predictions without the level. Empty without rows."""
    if not rows:
        return []
    periods, found = _periods(market, rows), list[SeenPeriod]()
    signed = np.log(np.array([row[dataset.target] for row in rows], float)) - logarithms
    for number in counted_periods(periods, np.max):
        chosen = np.flatnonzero(periods == number)
        own = [rows[position] for position in chosen]
        seen = market.seen(dataset, own, signed[chosen], logarithms[chosen])
        found.append(SeenPeriod(number, seen, max(_day(market, row) for row in own), len(own)))
    return found


def levels_of(
    market: MarketLevels, updates: Sequence[LevelUpdated], rows: Sequence[Values], batch: tuple[int, int]
) -> np.ndarray:
    """The level of each row's own period, by `updates` up to the one by this batch (its epoch and number).

    If that one did not move the level, because it waits or is pinned, it is what the batch shows of its periods: a
    training does not help there.
    """
    levels = market.with_updates(history_of(updates)).levels
    own = updates[-1] if updates and (updates[-1].epoch, updates[-1].number) == batch else None
    periods = _periods(market, rows)
    found = np.array([nearest(levels, number).value for number in periods.tolist()], float)
    if own and own.seen is not None and own.outcome in ("waiting", "held"):
        found[periods >= period_of(own.period, market.every)] = own.seen
    return found


def after_batch(market: MarketLevels, state: LevelState, batch: Sequence[SeenPeriod], rule: MarketRule) -> LevelChange:
    """The level after a batch, whose periods are in order.

    Rows of periods before that of the level are not used: they show what the market was. Nor are rows long after it:
    their year is wrong, or a training must learn them first. One batch moves the prices by `max_move` at most. If it
    shows more, the level waits until the next one shows the same.
    """
    present = period_of(state.as_of, market.every)
    known = [each for each in batch if (each.as_of - state.as_of).days <= MAX_DAYS]
    if not (news := [each for each in known if each.number >= present]):
        where = "before" if known else f"more than {MAX_DAYS} days after"
        return LevelChange(state, "late", f"its rows are of periods {where} {state.as_of}")
    newest, rows = news[-1], sum(each.rows for each in news)
    as_of = max(state.as_of, newest.as_of)
    found = LevelChange(state._replace(as_of=as_of), "held", "a person pinned the level", newest.seen, rows)
    if state.pinned:
        return found
    *earlier, level = _moved(market, state.level, present, news)
    change, agrees = level.value - state.level.value, _agrees(market, state, newest)
    if abs(math.expm1(change)) <= rule.max_move:
        # Few rows that also fit what waits do not contradict it.
        kept = state if agrees else state._replace(waiting=None, waiting_as_of=None)
        past = tuple(
            (each.number, Level(moved_to.value - moved_to.slope, moved_to.error))
            for each, moved_to in zip(news, earlier, strict=False)
        )
        moved_state = kept._replace(as_of=as_of, level=level)
        return found._replace(state=moved_state, outcome="moved", reason=f"level {_percent(change)}", earlier=past)
    shown = _percent(newest.seen.mean - state.level.value)
    if state.waiting and agrees and abs(newest.seen.mean - state.level.value) <= MAX_JUMP:
        level = moved(Level(*state.waiting), newest.seen, market.steps, _periods_waited(market, state, newest))
        confirmed = f"two batches in a row show that prices changed by {shown}"
        state = state._replace(as_of=as_of, level=level, waiting=None, waiting_as_of=None)
        return found._replace(state=state, outcome="confirmed", reason=confirmed)
    waits = f"the level waits: the batch shows {shown}, and one batch may move it by {100 * rule.max_move:.3g} %"
    state = state._replace(waiting=newest.seen, waiting_as_of=as_of)
    return found._replace(state=state, outcome="waiting", reason=waits)


def accepted(state: LevelState) -> LevelChange | None:
    """The level that a waiting batch shows, because a person accepts it. None if none waits."""
    if state.waiting is None:
        return None
    level = Level(*state.waiting)
    reason = f"level {_percent(level.value - state.level.value)}"
    as_of = state.waiting_as_of or state.as_of
    return LevelChange(state._replace(as_of=as_of, level=level, waiting=None, waiting_as_of=None), "accepted", reason)


def pinned(state: LevelState, factor: float) -> LevelChange:
    """The level at a factor of the first period's prices, where it stays."""
    level = Level(math.log(factor), state.level.error)
    state = state._replace(level=level, waiting=None, waiting_as_of=None, pinned=True)
    return LevelChange(state, "pinned", f"{factor:g}")


def reset(market: MarketLevels) -> LevelChange:
    """The level of the training."""
    return LevelChange(market.state, "reset", f"as at the end of its training, {market.last}")


def _periods(market: MarketLevels, rows: Sequence[Values]) -> np.ndarray:
    """The number of each row's period."""
    return periods_of(np.array([_day(market, row).toordinal() for row in rows], int), market.every)


def _day(market: MarketLevels, row: Values) -> date:
    day = row[market.time]
    if not isinstance(day, date):
        raise TypeError(f"{market.time} is no date")
    return day


def _percent(change: float) -> str:
    """`+1.8 %` for a change of a logarithm."""
    return f"{100 * math.expm1(change):+.1f} %"


def _moved(market: MarketLevels, level: Level, present: int, news: Sequence[SeenPeriod]) -> list[Level]:
    """The level after each period."""
    found = list[Level]()
    for each in news:
        level = moved(level, each.seen, market.steps, each.number - present, trend=market.method == "trend")
        present = each.number
        found.append(level)
    return found


def _agrees(market: MarketLevels, state: LevelState, newest: SeenPeriod) -> bool:
    """Whether a batch shows the same as the one that waits. False if none waits."""
    if state.waiting is None:
        return False
    steps = market.step**2 * _periods_waited(market, state, newest)
    error = math.sqrt(state.waiting.error**2 + newest.seen.error**2 + steps)
    return abs(newest.seen.mean - state.waiting.mean) <= AGREEMENT * error


def _periods_waited(market: MarketLevels, state: LevelState, newest: SeenPeriod) -> int:
    """The periods from the batch that waits to this one, 1 at least."""
    return max(1, newest.number - period_of(state.waiting_as_of or state.as_of, market.every))
