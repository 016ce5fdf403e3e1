"""The 15 % rule."""

import math

import pytest

from veleta.dataset import load_dataset
from veleta_drift.domain.threshold_rule import THRESHOLD, compare

DATASET = load_dataset("real_estate")


@pytest.mark.failure("F41", "F113")
@pytest.mark.parametrize(
    ("old", "new", "verdict", "change", "note"),
    [
        (100.0, 115.0, "no drift", 0.15, ""),
        (100.0, 115.001, "drift", 0.15001, ""),
        (100.0, 84.999, "drift", 0.15001, ""),
        (-100.0, -84.0, "drift", 0.16, ""),
        (0.0, 0.001, "drift", None, "infinite"),
        (0.0, 0.0, "not enough data", None, "not a number"),
        (math.nan, 5.0, "not enough data", None, "not a number"),
        (5.0, math.nan, "not enough data", None, "not a number"),
    ],
)
def test_a_change_above_the_threshold_is_drift(
    old: float, new: float, verdict: str, change: float | None, note: str
) -> None:
    """15 % itself is not; an infinite change is, one that is not a number is not."""
    assessment = compare(DATASET, {("price", "mean"): old}, {("price", "mean"): new})
    assert (assessment.verdict, assessment.statistics[0].note) == (verdict, note)
    assert assessment.statistics[0].change == (None if change is None else pytest.approx(change))
    assert THRESHOLD == 0.15


def test_one_change_above_the_threshold_is_enough() -> None:
    """The greatest change is the reason, the others are counted."""
    old = {("price", "mean"): 10.0, ("price", "std"): 10.0, ("bed", "mean"): 3.0}
    new = {("price", "mean"): 12.0, ("price", "std"): 20.0, ("bed", "mean"): 3.0}
    reason = compare(DATASET, old, new).reason
    assert reason == "standard deviation of price 10 -> 20 (+100 %, limit 15 %), and 1 more"


def test_a_batch_without_numbers_is_named() -> None:
    """Nothing can be compared with it."""
    empty, batch = {("price", "mean"): math.nan}, {("price", "mean"): 1.0}
    reasons = [compare(DATASET, *pair).reason for pair in ((batch, empty), (empty, batch))]
    assert reasons == [
        "no statistic can be compared: this batch has no number in the compared columns",
        "no statistic can be compared: no batch before has a number in the compared columns",
    ]


@pytest.mark.parametrize(
    ("column", "statistic", "old", "new", "reason"),
    [
        ("bath", "50", 2.0, 3.0, "median bathrooms 2 -> 3 (+50 %, limit 15 %)"),
        ("price", "mean", 397_339.4, 196_747.2, "mean price 397,339 -> 196,747 (-50.48 %, limit 15 %)"),
        ("acre_lot", "75", 0.38, 11.4, "75 % quantile of lot 0.38 -> 11.4 (+2,900 %, limit 15 %)"),
        ("price", "50", 1_000.0, 999_999.6, "median price 1,000 -> 1,000,000 (+99,900 %, limit 15 %)"),
        ("bed", "75", 0.5, 0.0, "75 % quantile of bedrooms 0.5 -> 0 (-100 %, limit 15 %)"),
        ("house_size", "mean", -2.0, -1.0, "mean living space -2 -> -1 (+50 %, limit 15 %)"),
        ("bed", "std", 0.0, 0.5, "standard deviation of bedrooms 0 -> 0.5 (infinite change, limit 15 %)"),
        ("price", "mean", 1.0, math.inf, "mean price 1 -> infinite (infinite change, limit 15 %)"),
        ("zip_code", "50", 1.0, 2.0, "median ZIP code 1 -> 2 (+100 %, limit 15 %)"),
        ("price", "mean", 100.0, 115.0, "no statistic changed by more than 15 %"),
        ("price", "mean", 0.0, 0.0, "no statistic can be compared"),
    ],
)
def test_the_reason_can_be_read_by_a_person(column: str, statistic: str, old: float, new: float, reason: str) -> None:
    """It names the column by its title, the statistic, both values, the signed change and the limit."""
    assert compare(DATASET, {(column, statistic): old}, {(column, statistic): new}).reason == reason
