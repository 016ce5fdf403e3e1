"""How the level of the champion follows a batch."""

import math
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from veleta.dataset import MarketRule
from veleta.events.catalogue import LevelOutcome
from veleta.market import Level, Seen, moved
from veleta.market_levels import LevelState, MarketLevels
from veleta.periods import period_of

MAX_JUMP = math.log(2)
"""No two batches move the level farther than this: prices that double or halve are a fault, or a person accepts it."""
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


def after_batch(market: MarketLevels, state: LevelState, batch: Sequence[SeenPeriod], rule: MarketRule) -> LevelChange:
    """The level after a batch, whose periods are in order.

    Rows of periods before that of the level are not used: they show what the market was. One batch moves the prices by
    `max_move` at most. If it shows more, the level waits until the next one shows the same.
    """
    present = period_of(state.as_of, market.every)
    if not (news := [each for each in batch if each.number >= present]):
        return LevelChange(state, "late", f"its rows are of periods before {state.as_of}")
    newest, rows = news[-1], sum(each.rows for each in news)
    as_of = max(state.as_of, newest.as_of)
    found = LevelChange(state._replace(as_of=as_of), "held", "a person pinned the level", newest.seen, rows)
    if state.pinned:
        return found
    level = _moved(market, state.level, present, news)
    change, limit = level.value - state.level.value, math.log1p(rule.max_move)
    if abs(change) <= limit:
        state = state._replace(as_of=as_of, level=level, waiting=None)
        return found._replace(state=state, outcome="moved", reason=f"level {math.expm1(change):+.1%}")
    shown = math.expm1(newest.seen.mean - state.level.value)
    if state.waiting and _agree(market, state, newest):
        level = moved(Level(state.waiting.mean, state.waiting.error), newest.seen, market.steps)
        confirmed = f"two batches in a row show that prices changed by {shown:+.1%}"
        state = state._replace(as_of=as_of, level=level, waiting=None)
        return found._replace(state=state, outcome="confirmed", reason=confirmed)
    waits = f"it would move the prices by {shown:+.1%}, and one batch may by {rule.max_move:.0%}: the level waits"
    return found._replace(state=state._replace(waiting=newest.seen), outcome="waiting", reason=waits)


def accepted(state: LevelState) -> LevelChange | None:
    """The level that a waiting batch shows, because a person accepts it. None if none waits."""
    if state.waiting is None:
        return None
    level = Level(state.waiting.mean, state.waiting.error)
    change = math.expm1(level.value - state.level.value)
    return LevelChange(state._replace(level=level, waiting=None), "accepted", f"level {change:+.1%}")


def pinned(state: LevelState, factor: float) -> LevelChange:
    """The level at a factor of the first period's prices, where it stays."""
    level = Level(math.log(factor), state.level.error)
    return LevelChange(state._replace(level=level, waiting=None, pinned=True), "pinned", f"{factor:g}")


def reset(market: MarketLevels) -> LevelChange:
    """The level of the training."""
    return LevelChange(market.state, "reset", f"as at the end of its training, {market.last}")


def _moved(market: MarketLevels, level: Level, present: int, news: Sequence[SeenPeriod]) -> Level:
    for each in news:
        level = moved(level, each.seen, market.steps, each.number - present, trend=market.method == "trend")
        present = each.number
    return level


def _agree(market: MarketLevels, state: LevelState, newest: SeenPeriod) -> bool:
    """Whether a batch shows the same as the one that waits, and a change that a market can have."""
    if state.waiting is None or abs(newest.seen.mean - state.level.value) > MAX_JUMP:
        return False
    error = math.sqrt(state.waiting.error**2 + newest.seen.error**2 + market.step**2)
    return abs(newest.seen.mean - state.waiting.mean) <= AGREEMENT * error
