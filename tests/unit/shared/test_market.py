"""The level of a market."""

import math

import numpy as np
import pytest

from veleta.market import (
    MONTHLY_STEP,
    Level,
    Mix,
    Seen,
    best_method,
    counted_periods,
    expected,
    filtered,
    followed,
    likely_step,
    mix_of,
    moved,
    seen_in,
    smoothed,
    usual_step,
)

STEP = 0.01


def history(levels: list[float], error: float = 0.005) -> dict[int, Seen]:
    """Months that were seen without an error, but with this standard error."""
    return {month: Seen(level, error) for month, level in enumerate(levels)}


def test_few_rows_move_the_level_little_and_many_rows_nearly_all_the_way() -> None:
    """By the rows' standard error, and by that of the level itself."""
    before = Level(0.0, 0.005)
    few, many = (moved(before, Seen(0.05, 0.17 / math.sqrt(rows)), STEP) for rows in (20, 20_000))
    assert 0 < few.value < 0.006
    assert 0.049 < many.value < 0.05
    assert many.error < few.error < math.hypot(before.error, STEP)


def test_a_level_that_was_not_seen_for_long_is_uncertain() -> None:
    """So the next rows move it more."""
    before, rows = Level(0.0, 0.005), Seen(0.05, 0.02)
    assert moved(before, rows, STEP, periods=12).value > 2 * moved(before, rows, STEP).value


def test_the_same_rows_twice_move_it_by_less_the_second_time() -> None:
    """They are nearer to the level then."""
    once = moved(Level(0.0, 0.005), Seen(0.05, 0.01), STEP)
    assert moved(once, Seen(0.05, 0.01), STEP).value - once.value < once.value


@pytest.mark.parametrize("rise", [0.01, -0.02])
def test_a_trend_is_followed_within_a_point(rise: float) -> None:
    """With 500 rows a month."""
    truth = [rise * month for month in range(24)]
    chance = np.random.default_rng(1)
    rows = {month: seen_in(chance.normal(level, 0.17, 500)) for month, level in enumerate(truth)}
    found = filtered(rows, likely_step(rows, "month"))
    assert abs(found[23].value - truth[23]) < 0.015


def test_a_stable_market_stays_within_its_band() -> None:
    """In nearly all months within two standard errors."""
    chance = np.random.default_rng(2)
    rows = {month: seen_in(chance.normal(0.0, 0.17, 500)) for month in range(60)}
    found = filtered(rows, likely_step(rows, "month"))
    assert np.mean([abs(level.value) < 2 * level.error for level in found.values()]) > 0.9


def test_later_months_correct_earlier_ones() -> None:
    """A smoothed level is nearer to the truth and more certain than a filtered one. The last one is the same."""
    chance, truth = np.random.default_rng(3), [0.01 * math.sin(month) + 0.004 * month for month in range(36)]
    rows = {month: seen_in(chance.normal(level, 0.17, 200)) for month, level in enumerate(truth)}
    forward, both = filtered(rows, STEP), smoothed(rows, STEP)

    def error(levels: dict[int, Level]) -> float:
        return float(np.mean([abs(levels[month].value - truth[month]) for month in rows]))

    assert error(both) < error(forward)
    assert both[35] == pytest.approx(forward[35])
    assert all(both[month].error <= forward[month].error + 1e-12 for month in rows)


def test_a_long_history_shows_that_the_level_changes_more() -> None:
    """A short one says nothing, and a calm one does not make it slower."""
    chance = np.random.default_rng(4)
    calm = history(np.cumsum(chance.normal(0, 0.002, 40)).tolist())
    wild = history(np.cumsum(chance.normal(0, 0.05, 40)).tolist())
    assert likely_step(calm, "month") == usual_step("month") < likely_step(wild, "month")
    assert likely_step(history([0.0, 0.5, 0.0]), "month") == usual_step("month") == MONTHLY_STEP


def test_a_step_grows_with_the_root_of_time() -> None:
    """As that of a random walk."""
    assert usual_step("day") < usual_step("week") < usual_step("month") < usual_step("year")
    assert usual_step("year") == pytest.approx(MONTHLY_STEP * math.sqrt(365.25 / 30.4))


def test_equal_errors_are_not_certain() -> None:
    """Three rows with the same error are three rows."""
    found = seen_in(np.full(3, 0.5))
    assert found.mean == 0.5
    assert found.error == pytest.approx(0.02 / math.sqrt(3))


def test_a_surprise_moves_the_level_nearly_as_far_as_the_rows_show() -> None:
    """A market that moves faster than its history did is followed at once. The usual chance is not."""
    before, error = Level(0.0, 0.005), 0.17 / math.sqrt(500)
    usual, surprise = (moved(before, Seen(mean, error), STEP).value / mean for mean in (0.01, 0.08))
    assert 0.5 < usual < 0.8
    assert surprise > 0.9


def test_a_slope_is_expected_of_the_next_period_and_fades() -> None:
    """Only with `trend`. Two months of a rise of 2 % are not yet the whole slope."""
    level, flat = Level(0.0, 0.005), Level(0.0, 0.005)
    for month in range(1, 9):
        level = moved(level, Seen(0.02 * month, 0.005), STEP, trend=True)
        flat = moved(flat, Seen(0.02 * month, 0.005), STEP)
    assert flat.slope == 0
    assert 0.005 < level.slope < 0.02
    assert flat.value < 0.16 < level.value
    assert expected(level, 0) == pytest.approx(level.value - level.slope)
    assert expected(level, 1) == pytest.approx(level.value)
    assert level.value < expected(level, 3) < level.value + 2 * level.slope


def test_a_method_must_be_better_beyond_chance_than_the_trend() -> None:
    """By rolling-origin evaluation. A few periods show nothing."""
    chance = np.random.default_rng(5)
    stable = history(chance.normal(0.0, 0.02, 40).tolist(), error=0.02)
    rising = history([0.02 * month for month in range(24)])
    assert best_method(stable, STEP) == "none"
    assert best_method(rising, STEP) == "trend"
    assert best_method(dict(list(stable.items())[:5]), STEP) == "trend"
    level, errors = followed(stable, STEP, "none")
    assert abs(level.value) < 0.01
    assert len(errors) == 38


def test_an_outlier_counts_as_one_error_of_five_deviations() -> None:
    """A price times 1,000 among 500 moves the mean by less than a standard error."""
    errors = np.random.default_rng(6).normal(0.0, 0.17, 500)
    clean = seen_in(errors)
    errors[0] += math.log(1_000)
    assert abs(seen_in(errors).mean - clean.mean) < clean.error


def test_rows_of_one_value_show_less_than_rows_of_all() -> None:
    """Its own mean error may be another. The same mix as in the training costs nothing."""
    chance = np.random.default_rng(7)
    values = np.repeat([f"zip {number}" for number in range(20)], 100)
    effects = np.repeat(chance.normal(0.0, 0.05, 20), 100)
    mix = mix_of(values, effects + chance.normal(0.0, 0.15, 2_000))
    assert mix is not None
    assert mix.spread == pytest.approx(0.05, abs=0.02)
    assert mix.variance(values) == pytest.approx(0)
    assert math.sqrt(mix.variance(values[:100])) == pytest.approx(mix.spread, rel=0.05)
    errors = chance.normal(0.1, 0.15, 500)
    whole, one = seen_in(errors), seen_in(errors, [(mix, np.full(500, "zip 3"))])
    assert one.error > 3 * whole.error
    assert mix_of(np.full(9, "a"), np.zeros(9)) is None
    assert mix_of(np.arange(9), np.zeros(9)) is None
    assert Mix(spread=0.1, shares={"a": 1.0}).variance(np.array(["b"])) == pytest.approx(0.02)


def test_a_period_of_a_few_rows_does_not_count() -> None:
    """Such as a wrong year. A last month that has begun does."""
    periods = np.repeat([10, 11, 12, 900], [500, 480, 120, 2])
    assert counted_periods(periods) == [10, 11, 12]
