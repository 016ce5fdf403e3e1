"""The gates of a challenger: what each finds, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.gates import (
    MAX_GROUPS,
    Errors,
    chance_gate,
    coverage_gate,
    latest_gate,
    mae_gate,
    slices_gate,
)


def errors(change: float, rows: int = 400, *, repeats: int = 1, noise: float = 0.3, seed: int = 0) -> Errors:
    """Errors whose mean changes so much, of properties with so many equal rows."""
    rng = np.random.default_rng(seed)
    champion = rng.lognormal(10, 1, rows // repeats)
    challenger = champion * (1 + change) * rng.lognormal(0, noise, rows // repeats)
    challenger *= (1 + change) * champion.mean() / challenger.mean()
    return Errors(
        np.repeat(challenger, repeats), np.repeat(champion, repeats), np.repeat(np.arange(rows // repeats), repeats)
    )


@pytest.mark.parametrize(
    ("challenger", "champion", "passed"),
    [(98.9, 100.0, True), (99.0, 100.0, True), (99.1, 100.0, False), (0.0, 0.0, False), (1.0, 0.0, False)],
)
def test_the_mae_must_be_one_per_cent_lower(challenger: float, champion: float, *, passed: bool) -> None:
    """A champion without any error cannot be improved."""
    gate = mae_gate(challenger, champion, 1234, 3)
    assert gate.passed is passed
    assert "of version 3 on the same 1,234 rows" in gate.figures


def test_the_bootstrap_finds_a_real_change_and_no_other() -> None:
    """The interval contains the change of the sample."""
    real, chance = chance_gate(errors(-0.1)), chance_gate(errors(-0.01))
    assert real.passed
    assert real.values["low"] < -0.1 < real.values["high"] < 0
    assert not chance.passed
    assert chance.values["low"] < -0.01 < 0 < chance.values["high"]
    assert "95% interval" in chance.figures


def test_rows_of_one_property_are_no_further_evidence() -> None:
    """Each row ten times: the interval stays as wide."""
    once, repeated = chance_gate(errors(-0.1, 400)), chance_gate(errors(-0.1, 4_000, repeats=10))
    assert repeated.values == pytest.approx(once.values)


def test_the_bootstrap_equals_that_of_scipy() -> None:
    """Its percentile interval of the same ratio, up to the chance of its draws."""
    found = errors(-0.02)
    expected = stats.bootstrap(
        [found.challenger, found.champion],
        lambda challenger, champion, axis: challenger.sum(axis) / champion.sum(axis) - 1,
        paired=True,
        method="percentile",
        n_resamples=9_999,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.interval() == pytest.approx((expected.low, expected.high), abs=0.003)


def test_the_work_of_the_bootstrap_is_bounded() -> None:
    """Many properties are resampled in groups: the interval is about the same."""
    rows = 4 * MAX_GROUPS
    low, high = errors(-0.1, rows).interval() or (0.0, 0.0)
    sample = errors(-0.1, rows)
    relative = sample.challenger - 0.9 * sample.champion
    width = 2 * 1.96 * relative.std() / np.sqrt(rows) / sample.champion.mean()
    assert high - low == pytest.approx(width, rel=0.2)


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_few_properties_prove_nothing(rows: int) -> None:
    """Also if all of them are better."""
    gate = chance_gate(errors(-0.5, rows, noise=0) if rows else Errors(*[np.empty(0)] * 3))
    assert not gate.passed
    assert gate.figures == "10 properties are needed to exclude chance"


def test_a_perfect_champion_proves_nothing() -> None:
    """Its errors are 0."""
    assert not chance_gate(Errors(np.ones(50), np.zeros(50), np.arange(50))).passed


def test_a_slice_that_is_proven_worse_stops_a_better_version() -> None:
    """It is named, with its rows. All changes are numbers too."""
    gate = slices_gate({"state = Ohio": errors(0.2, 300), "state = Iowa": errors(-0.3, 300), "few": errors(9.0, 199)})
    assert not gate.passed
    assert gate.figures == "MAE +20.0% on the 300 rows of state = Ohio, the worst of 2 slices"
    assert gate.values == pytest.approx({"state = Ohio": 0.2, "state = Iowa": -0.3})


@pytest.mark.parametrize("change", [-0.2, 0.04, 0.06])
def test_a_slice_that_may_be_worse_by_chance_does_not_count(change: float) -> None:
    """Nor one that is less than 5 % worse."""
    assert slices_gate({"state = Ohio": errors(change, 200, noise=1.0)}).passed


def test_without_large_slices_there_is_nothing_to_compare() -> None:
    """The gate is passed."""
    gate = slices_gate({"state = Ohio": errors(1.0, 199)})
    assert (gate.passed, gate.figures) == (True, "no slice has 200 rows")


@pytest.mark.parametrize(
    ("coverage", "rows", "passed"),
    [
        (0.8, 10, True),
        (0.829, 5_000, True),
        (0.831, 5_000, False),
        (0.769, 5_000, False),
        (0.75, 100, True),
        (0.71, 100, False),
    ],
)
def test_the_coverage_is_within_three_points_or_chance(coverage: float, rows: int, *, passed: bool) -> None:
    """Two standard errors of 100 rows are 8 points."""
    assert coverage_gate(coverage, rows).passed is passed


def test_a_gate_is_shown_with_its_result() -> None:
    """In one line."""
    gate = Check("mae", "MAE 1", passed=False)
    assert (gate.outcome, str(gate)) == ("mae: FAILED", "mae: FAILED: MAE 1")


@pytest.mark.parametrize(("change", "rows", "passed"), [(-0.1, 400, True), (0.2, 400, False), (0.04, 4_000, True)])
def test_a_challenger_must_not_be_worse_in_the_latest_period(change: float, rows: int, *, passed: bool) -> None:
    """By more than 5 %, beyond chance. With few properties chance is never excluded."""
    gate = latest_gate("latest period (2015-05)", errors(change, rows))
    assert gate.passed is passed
    assert gate.figures == f"MAE {change:+.1%} on the {rows:,} rows of the latest period (2015-05)"
    assert latest_gate("latest period (2015-05)", errors(0.5, 8)).passed
