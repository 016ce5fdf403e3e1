"""The tests of the champion's errors."""

import numpy as np
import pytest
from scipy import stats

from veleta.dataset import DriftRule
from veleta.drift_sentences import BIAS, SIZE, WHOLE
from veleta.events.catalogue import DriftTest
from veleta_drift.domain.errors_arm import MIN_ROWS, error_tests
from veleta_drift.domain.samples import MAX_EFFECT, Errors

RULE, LEVEL = DriftRule(), 0.025


def errors(rows: int, seed: int, shift: float = 0.0, scale: float = 0.3) -> Errors:
    """Errors of three slices; the last one has too few rows."""
    signed = np.random.default_rng(seed).normal(shift, scale, rows)
    names = np.array([("north", "south")[i % 2] if i > 9 else "tiny" for i in range(rows)])
    return Errors(signed, slices={"region": names})


def found(old: Errors, new: Errors) -> dict[tuple[str, str], DriftTest]:
    """The tests by their names and subjects."""
    return {(each.test, each.subject): each for each in error_tests(old, new, RULE, LEVEL)}


def test_the_values_are_those_of_scipy() -> None:
    """Welch's test and that of Mann and Whitney, for all rows; of slices, those of Holm's method."""
    old, new = errors(400, 1), errors(300, 2, 0.04, 0.35)
    tests = found(old, new)
    welch = stats.ttest_ind(new.signed, old.signed, equal_var=False).pvalue
    ranks = stats.mannwhitneyu(np.abs(new.signed), np.abs(old.signed), alternative="greater").pvalue
    assert tests[BIAS, WHOLE].p_value == pytest.approx(welch, rel=1e-9)
    assert tests[BIAS, WHOLE].effect == pytest.approx(new.signed.mean() - old.signed.mean())
    assert tests[SIZE, WHOLE].p_value == pytest.approx(ranks, rel=1e-9)
    medians = [np.median(np.abs(each.signed)) for each in (old, new)]
    assert tests[SIZE, WHOLE].effect == pytest.approx(medians[1] / medians[0] - 1)
    each = sorted(
        stats.ttest_ind(b, a, equal_var=False).pvalue
        for a, b in ((old.parts()[name], new.parts()[name]) for name in ("region = north", "region = south"))
    )
    adjusted = sorted(tests[BIAS, f"region = {name}"].p_value for name in ("north", "south"))
    assert adjusted == pytest.approx([min(2 * each[0], 1), max(2 * each[0], each[1])])


def test_slices_with_few_rows_are_not_compared() -> None:
    """And no others that only one side has. Each test has a quarter of the level."""
    old, new = errors(400, 1), errors(2 * MIN_ROWS + 10, 2)
    tests = found(old, new)
    assert {subject for _, subject in tests} == {WHOLE, "region = north", "region = south"}
    assert {each.level for each in tests.values()} == {LEVEL / 4}
    assert {subject for _, subject in found(Errors(old.signed), new)} == {WHOLE}


@pytest.mark.parametrize(("shift", "scale", "fires"), [(0.1, 0.3, BIAS), (-0.1, 0.3, BIAS), (0.0, 0.4, SIZE)])
def test_a_wrong_champion_is_noticed(shift: float, scale: float, fires: str) -> None:
    """Prices that are 10 % higher or lower than expected, and errors that are a third larger."""
    assert found(errors(1_000, 1), errors(1_000, 2, shift, scale))[fires, WHOLE].fires


def test_a_small_change_never_fires() -> None:
    """With a million rows, a shift of 1 % is beyond chance, but does not matter. Neither do smaller errors."""
    tests = found(Errors(errors(1_000_000, 1).signed), Errors(errors(1_000_000, 2, 0.01).signed))
    assert tests[BIAS, WHOLE].p_value < 1e-9
    assert not tests[BIAS, WHOLE].fires
    smaller = found(errors(1_000, 1), errors(1_000, 2, 0.0, 0.2))[SIZE, WHOLE]
    assert (smaller.effect, smaller.fires) == (0.0, False)


def test_one_slice_is_noticed() -> None:
    """Its prices are 20 % higher, and the others are as before."""
    old, new = errors(600, 1), errors(600, 2)
    shifted = np.where(new.slices["region"] == "north", new.signed + 0.2, new.signed - 0.2)
    tests = found(old, Errors(shifted, slices=new.slices))
    assert tests[BIAS, "region = north"].fires
    assert not tests[BIAS, WHOLE].fires


def test_constant_errors_are_defined() -> None:
    """Equal ones have p 1, others p 0. An error that grew from 0 has the greatest effect."""
    same, other, zero = (Errors(np.full(rows, value)) for rows, value in ((150, 0.1), (200, 0.3), (300, 0.0)))
    assert found(same, Errors(np.full(300, 0.1)))[BIAS, WHOLE].p_value == 1
    assert found(same, other)[BIAS, WHOLE].p_value == 0
    assert found(same, errors(300, 1))[BIAS, WHOLE].p_value < 1e-3
    grown = found(zero, other)[SIZE, WHOLE]
    assert (grown.effect, grown.fires) == (MAX_EFFECT, True)
    assert found(zero, zero)[SIZE, WHOLE].effect == 0
