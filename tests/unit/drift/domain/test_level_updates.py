"""How the level follows the batches of planted markets."""

import math
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from veleta.dataset import MarketRule, Values
from veleta.events.catalogue import LevelUpdated
from veleta.market import Seen, best_method, followed, likely_step, mix_of, seen_in
from veleta.market_levels import MarketLevels
from veleta.periods import first_day
from veleta_drift.domain.level_updates import (
    LevelChange,
    SeenPeriod,
    accepted,
    after_batch,
    levels_of,
    pinned,
    reset,
)

RULE = MarketRule(time="date")
DEVIATION, ROWS, LEARNT = 0.17, 500, 6
"""The standard deviation of the errors, the rows of a batch, and the months of the training."""
FIRST = 2014 * 12
SEEDS = range(40)


class Market:
    """A planted market: the level of each month by `truth`. The first LEARNT months are those of the training."""

    def __init__(self, truth: Callable[[int], float], seed: int) -> None:
        self.truth, self.chance = truth, np.random.default_rng(seed)
        errors = {month: self.errors(month, ROWS) for month in range(LEARNT)}
        history = {FIRST + month: seen_in(found) for month, found in errors.items()}
        step = likely_step(history, "month")
        method = best_method(history, step)
        now, _ = followed(history, step, method)
        self.zips = np.repeat(np.arange(25), ROWS // 25).astype(str)
        zip_errors = self.chance.normal(0, 0.03, 25)[self.zips.astype(int)] + errors[0] - truth(0)
        mix = mix_of(self.zips, zip_errors)
        assert mix
        self.levels = MarketLevels(
            time="date", every="month", method=method, step=step, levels=dict.fromkeys(history, now), now=now,
            first=first_day(FIRST, "month"), last=first_day(FIRST + LEARNT - 1, "month"), mixes={"zip": mix},
        )  # fmt: skip
        self.state = self.levels.state

    def errors(self, month: int, rows: int) -> np.ndarray:
        """Signed errors of a month without the level, of which none is known."""
        return self.chance.normal(self.truth(month), DEVIATION, rows)

    def follow(self, month: int, rows: int = ROWS, factor: float = 1.0, zips: np.ndarray | None = None) -> LevelChange:
        """The level after a batch of a month, whose prices are multiplied by a factor."""
        return self.see(month, self.errors(month, rows) + math.log(factor), zips)

    def see(self, month: int, errors: np.ndarray, zips: np.ndarray | None = None) -> LevelChange:
        """The level after a batch with these errors. The zips are distributed as in the training."""
        values = {"zip": np.resize(self.zips[:: len(self.zips) // 25], len(errors)) if zips is None else zips}
        seen = self.levels.seen_of(errors, values, np.zeros(len(errors)))
        day = first_day(FIRST + month, "month")
        found = after_batch(self.levels, self.state, [SeenPeriod(FIRST + month, seen, day, len(errors))], RULE)
        self.state = found.state
        return found

    def error(self, month: int) -> float:
        """How far the level is from the truth of a month."""
        return abs(self.state.level.value - self.state.level.slope - self.truth(month))


def steady(month: int) -> float:
    return 0.01 * month


def crash(month: int) -> float:
    return math.log(0.85) if month >= LEARNT else 0.0


def season(month: int) -> float:
    return 0.05 * math.sin(2 * math.pi * month / 12)


@pytest.mark.parametrize("truth", [steady, crash, season])
def test_after_two_batches_the_level_is_within_a_point_and_a_half(truth: Callable[[int], float]) -> None:
    """+1 % a month, -15 % at once, a season of 5 %. 500 rows have a standard error of .76 points themselves."""
    errors = []
    for seed in SEEDS:
        market = Market(truth, seed)
        market.follow(LEARNT)
        market.follow(LEARNT + 1)
        errors.append(market.error(LEARNT + 1))
    assert np.mean(np.array(errors) < 0.015) >= 0.9, errors
    assert max(errors) < 0.03


def test_the_level_of_a_stable_market_stays_in_its_band() -> None:
    """Twelve batches of chance alone: it is rarely beyond 2.6 standard errors, and never by 2.5 points."""
    levels, bands = [], []
    for seed in SEEDS:
        market = Market(lambda _: 0.0, seed)
        for month in range(LEARNT, LEARNT + 12):
            market.follow(month)
            levels.append(abs(market.state.level.value))
            bands.append(2.6 * market.state.level.error)
    assert np.mean(np.array(levels) > bands) < 0.02
    assert max(levels) < 0.025


@pytest.mark.failure("F469")
@pytest.mark.parametrize("times", [1, 2])
def test_prices_times_a_thousand_do_not_move_the_level(times: int) -> None:
    """Neither once nor twice in a row, although the second batch agrees with the first. The next good batch does."""
    market = Market(steady, 0)
    before = market.state.level
    for month in range(LEARNT, LEARNT + times):
        found = market.follow(month, factor=1_000)
        assert (found.outcome, market.state.level) == ("waiting", before)
        assert "the level waits" in found.reason
    assert market.follow(LEARNT + times).outcome == "moved"
    assert market.state.waiting is None
    assert market.error(LEARNT + times) < 0.02


def test_a_second_batch_confirms_a_crash() -> None:
    """-15 % is more than one batch may move: the first one waits, and the second one moves the level all the way."""
    market = Market(crash, 1)
    assert market.follow(LEARNT).outcome == "waiting"
    found = market.follow(LEARNT + 1)
    assert found.outcome == "confirmed"
    assert "two batches in a row" in found.reason
    assert market.state.level.value == pytest.approx(math.log(0.85), abs=0.015)


def test_rows_of_one_zip_move_the_level_by_less() -> None:
    """Their mean says how this zip differs: so it is less certain than that of rows as in the training."""
    moves = []
    for zips in (None, np.full(ROWS, "3")):
        market = Market(lambda _: 0.0, 2)
        before = market.state.level.value
        market.see(LEARNT, np.random.default_rng(9).normal(0.03, DEVIATION, ROWS), zips)
        moves.append(market.state.level.value - before)
    assert 0 < moves[1] < moves[0] / 2


def test_20_rows_move_the_level_by_little() -> None:
    """Prices 6 % higher in 20 rows: less than a standard error of their mean."""
    market = Market(lambda _: 0.0, 2)
    before = market.state.level.value
    market.see(LEARNT, np.random.default_rng(9).normal(0.06, DEVIATION, 20))
    assert abs(market.state.level.value - before) < 0.02


def test_rows_of_earlier_periods_do_not_move_the_level() -> None:
    """They show what the market was."""
    market = Market(steady, 0)
    before = market.state
    found = market.follow(LEARNT - 3)
    assert (found.outcome, found.state, found.rows) == ("late", before, 0)


def test_rows_of_a_wrong_year_do_not_move_the_level() -> None:
    """Otherwise all later batches were of earlier periods."""
    market = Market(steady, 0)
    before = market.state
    found = market.follow(LEARNT + 80 * 12)
    assert (found.outcome, found.state, found.rows) == ("late", before, 0)
    assert "more than 731 days after" in found.reason
    assert market.follow(LEARNT).outcome == "moved"


def test_a_pinned_level_stays_until_a_reset() -> None:
    """The batches are counted, and the day goes on."""
    market = Market(steady, 0)
    market.state = pinned(market.state, 1.07).state
    found = market.follow(LEARNT)
    assert (found.outcome, found.state.as_of) == ("held", first_day(FIRST + LEARNT, "month"))
    assert market.state.level.value == math.log(1.07)
    market.state = reset(market.levels).state
    assert market.state == market.levels.state
    assert market.follow(LEARNT).outcome == "moved"


def test_a_person_accepts_what_a_batch_shows() -> None:
    """Then the level is what the waiting batch shows. Without one there is nothing to accept."""
    market = Market(crash, 0)
    assert accepted(market.state) is None
    market.follow(LEARNT)
    found = accepted(market.state)
    assert found
    assert (found.outcome, found.state.waiting) == ("accepted", None)
    assert found.state.level.value == pytest.approx(math.log(0.85), abs=0.02)


def update(market: Market, found: LevelChange, number: int) -> LevelUpdated:
    """The event of a change by a batch."""
    level, seen = found.state.level, found.seen
    return LevelUpdated(
        model="homes", version=1, run_id="r", seq=number + 1, as_of=found.state.as_of, period=found.state.as_of,
        value=level.value, error=level.error, slope=level.slope, rows=found.rows, outcome=found.outcome,
        reason=found.reason, cause="c", epoch=1, number=number, seen=seen and seen.mean, seen_error=seen and seen.error,
    )  # fmt: skip


def test_each_row_has_the_level_of_its_own_period() -> None:
    """By the training, by the update that followed its period, and if the level waits, by what the batch shows."""
    market = Market(steady, 0)
    moved = update(market, market.follow(LEARNT), 0)
    rows: list[Values] = [{"date": first_day(FIRST + month, "month")} for month in (0, LEARNT, LEARNT + 1)]
    learnt, present = market.levels.levels[FIRST].value, moved.value - moved.slope
    assert levels_of(market.levels, [moved], rows, (1, 1)).tolist() == [learnt, present, present]
    waiting = update(market, market.follow(LEARNT + 1, factor=1_000), 1)
    assert levels_of(market.levels, [moved, waiting], rows, (1, 1)).tolist() == [learnt, waiting.seen, waiting.seen]
    assert levels_of(market.levels, [moved, waiting], rows, (1, 2)).tolist() == [learnt, present, present]


def test_each_period_of_a_batch_has_its_level() -> None:
    """A batch of three months: the rows of the first ones are no errors of the last one's level."""
    market = Market(steady, 0)
    news = []
    for month in range(LEARNT, LEARNT + 3):
        errors = market.errors(month, ROWS)
        seen = market.levels.seen_of(errors, {"zip": market.zips}, np.zeros(ROWS))
        news.append(SeenPeriod(FIRST + month, seen, first_day(FIRST + month, "month"), ROWS))
    found = after_batch(market.levels, market.state, news, RULE)
    assert [number for number, _ in found.earlier] == [FIRST + LEARNT, FIRST + LEARNT + 1]
    for number, level in found.earlier:
        assert abs(level.value - steady(number - FIRST)) < 0.02
    assert abs(found.state.level.value - found.state.level.slope - steady(LEARNT + 2)) < 0.02


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_few_rows_hardly_move_the_level(rows: int) -> None:
    """Their own deviation says nothing: that of the training counts."""
    moves = []
    for seed in range(200):
        market = Market(lambda _: 0.0, seed)
        market.levels = market.levels.model_copy(update={"deviation": DEVIATION})
        before = market.state.level.value
        found = market.see(LEARNT, np.random.default_rng(seed).normal(0.0, DEVIATION, rows))
        moves.append(abs(found.state.level.value - before))
    assert np.quantile(moves, 0.95) < 0.02


def test_few_rows_that_fit_do_not_end_a_wait() -> None:
    """They show too little to confirm a change. A batch that contradicts it ends the wait."""
    market = Market(lambda _: 0.0, 3)
    assert market.follow(LEARNT, factor=0.8).outcome == "waiting"
    market.levels = market.levels.model_copy(update={"deviation": DEVIATION})
    assert market.see(LEARNT, math.log(0.8) + np.array([-0.2, 0.2, -0.1, 0.1])).outcome == "moved"
    assert market.state.waiting is not None
    assert market.follow(LEARNT + 1, factor=0.8).outcome == "confirmed"
    assert market.state.waiting is None


def test_an_accepted_level_is_that_of_the_waiting_period() -> None:
    """What prices were before stays as it was."""
    market = Market(lambda _: 0.0, 0)
    before = market.state
    assert market.follow(LEARNT + 2, factor=0.8).outcome == "waiting"
    assert market.state.as_of == before.as_of
    found = accepted(market.state)
    assert found
    assert (found.state.as_of, found.state.waiting_as_of) == (first_day(FIRST + LEARNT + 2, "month"), None)


@pytest.mark.parametrize(("change", "outcome"), [(0.098, "moved"), (-0.098, "moved"), (0.12, "waiting")])
def test_the_bound_is_the_same_up_and_down(change: float, outcome: str) -> None:
    """As a share of the prices."""
    market = Market(lambda _: 0.0, 0)
    level = math.log1p(change) + market.state.level.value
    news = [SeenPeriod(FIRST + LEARNT, Seen(level, 1e-6), first_day(FIRST + LEARNT, "month"), 10**6)]
    assert after_batch(market.levels, market.state, news, RULE).outcome == outcome


def test_agreement_allows_for_the_time_between() -> None:
    """A market goes on while the level waits: with days as periods, a month is thirty steps."""
    market = Market(lambda _: 0.0, 0)
    levels = market.levels.model_copy(update={"every": "day", "step": 0.002, "levels": {735_000: market.levels.now}})
    first = date.fromordinal(735_010)
    state = market.state._replace(as_of=first)
    for days, shown, outcome in ((0, -0.16, "waiting"), (30, -0.18, "confirmed")):
        day = date.fromordinal(735_010 + days)
        news = [SeenPeriod(day.toordinal(), Seen(shown, 0.002), day, 10_000)]
        found = after_batch(levels, state, news, RULE)
        assert found.outcome == outcome
        state = found.state
