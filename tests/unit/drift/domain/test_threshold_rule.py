"""The 15 % rule."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veleta.dataset import Row, load_dataset
from veleta_drift.domain.statistics import ColumnValues, Statistics
from veleta_drift.domain.threshold_rule import THRESHOLD, Assessment, compare
from veleta_source.domain.row_generator import RowGenerator

DATASET = load_dataset("real_estate")
EXACT = 1e-9
"""By how much a figure may differ from that of pandas, relatively."""


def of_pandas(old: Sequence[Row], new: Sequence[Row]) -> pd.DataFrame:
    """The relative changes of the original project: `describe()` of the numeric columns, without the ignored ones."""
    described = [
        pd.DataFrame(rows, columns=DATASET.drift_columns).astype(float).describe().loc[["mean", "std", "50%", "75%"]]
        for rows in (old, new)
    ]
    return (described[1] - described[0]).abs() / described[0].abs()


def of_drift(old: Sequence[Row], new: Sequence[Row]) -> Assessment:
    """The rule of this project on the same rows."""
    return compare(DATASET, _statistics(old), _statistics(new))


def _statistics(rows: Sequence[Row]) -> Statistics:
    values = ColumnValues(DATASET)
    values.add(rows)
    return values.summary().statistics


def assert_equal(old: Sequence[Row], new: Sequence[Row]) -> None:
    """Each change and the verdict are those of pandas."""
    ours, theirs = of_drift(old, new), of_pandas(old, new)
    assert len(ours.statistics) == theirs.size == 24
    for each in ours.statistics:
        expected = theirs.loc[each.statistic.replace("50", "50%").replace("75", "75%"), each.column]
        change = math.inf if each.note == "infinite" else math.nan if each.change is None else each.change
        assert change == pytest.approx(expected, rel=EXACT, nan_ok=True)
    drift = bool((theirs > THRESHOLD).any(axis=None))
    assert (ours.verdict == "drift") is drift


# Sums of these numbers are exact in both, so that no verdict depends on a rounding error.
exact = st.integers(-4_000_000, 4_000_000).map(lambda n: n / 8)
near = st.integers(792, 808).map(lambda n: n / 8)
"""Around 100, so that many changes are below the threshold."""


def tables(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[Row]]:
    """Up to ten rows with these numbers, some of which are missing."""
    cells = st.one_of(values, values, values, st.none())
    return st.lists(st.fixed_dictionaries(dict.fromkeys(DATASET.drift_columns, cells)), max_size=10)


@settings(max_examples=1_000)
@given(st.sampled_from([exact, near]).flatmap(lambda values: st.tuples(tables(values), tables(values))))
def test_random_tables_have_the_changes_of_pandas(both: tuple[list[Row], list[Row]]) -> None:
    """Empty tables, constants, missing values and changes from zero included."""
    assert_equal(*both)


def test_generated_batches_have_the_changes_of_pandas() -> None:
    """All pairs of neighbouring batches."""
    batches = [list(rows) for _, rows in RowGenerator(DATASET, scale=0.005, seed=1).batches()]
    assert len(batches) == 6
    for old, new in pairwise(batches):
        assert_equal(old, new)


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
