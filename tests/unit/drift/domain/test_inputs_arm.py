"""The tests of the inputs."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from veleta.dataset import DriftRule
from veleta.drift_sentences import CATEGORIES, DISTRIBUTION, EXTREMES, MISSING
from veleta.events.catalogue import DriftTest
from veleta_drift.domain.inputs_arm import EXTREME, Presence, changed_categories, distance, input_tests, pooled
from veleta_drift.domain.samples import MAX_EFFECT, Inputs

RULE, LEVEL = DriftRule(), 0.025


def numbers(rows: int, seed: int, factor: float = 1.0) -> np.ndarray:
    """A heavy-tailed column."""
    return np.random.default_rng(seed).lognormal(7, 0.5, rows) * factor


def texts(rows: int, seed: int, shares: Sequence[float]) -> np.ndarray:
    """A category with these shares of a, b and c."""
    return np.random.default_rng(seed).choice(["a", "b", "c"], rows, p=shares)


def only(old: Inputs, new: Inputs, presence: tuple[Presence, Presence] | None = None) -> dict[str, DriftTest]:
    """The tests of inputs with one column, by their names."""
    return {each.test: each for each in input_tests(old, new, presence, RULE, LEVEL)}


def column(values: np.ndarray) -> Inputs:
    """Inputs with this column of numbers."""
    return Inputs({"size": values}, {})


def test_numbers_are_compared_as_by_scipy() -> None:
    """The two-sample test of Kolmogorov and Smirnov, and the Wasserstein distance of the logarithms."""
    old, new = numbers(500, 1), numbers(300, 2, 1.1)
    tests = input_tests(column(old), column(new), None, RULE, LEVEL)
    logs = np.log1p(old), np.log1p(new)
    p = stats.ks_2samp(*logs, method="asymp").pvalue
    bound = np.quantile(old, EXTREME, method="inverted_cdf")
    after, before = int((new > bound).sum()), int((old >= bound).sum())
    extremes = stats.fisher_exact([[after, 300 - after], [before, 500 - before]], alternative="greater").pvalue
    assert [each.test for each in tests] == [DISTRIBUTION, EXTREMES]
    smaller = min(1.0, 2 * min(p, extremes))
    adjusted = [smaller, max(p, extremes, smaller)] if p < extremes else [max(p, extremes, smaller), smaller]
    assert [each.p_value for each in tests] == pytest.approx(adjusted)
    assert tests[0].effect == pytest.approx(stats.wasserstein_distance(*logs) / logs[0].std())
    assert tests[1].effect == pytest.approx(after / 300)


def test_categories_are_compared_as_by_scipy() -> None:
    """The chi-squared test of the counts. The effect is the total variation of the shares."""
    old, new = texts(500, 1, [0.5, 0.3, 0.2]), texts(300, 2, [0.4, 0.3, 0.3])
    (test,) = input_tests(Inputs({}, {"kind": old}), Inputs({}, {"kind": new}), None, RULE, LEVEL)
    counts = [[(values == name).sum() for name in "abc"] for values in (old, new)]
    shares = [np.array(each) / sum(each) for each in counts]
    assert test.test == CATEGORIES
    assert test.p_value == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert test.effect == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2)


def test_missing_values_are_compared_as_by_scipy() -> None:
    """The chi-squared test of the rows with and without a value. A column that only one side has is not compared."""
    presence = Presence(400, {"size": 398}), Presence(300, {"size": 270, "later": 1})
    (test,) = input_tests(Inputs({}, {}), Inputs({}, {}), presence, RULE, LEVEL)
    p = stats.chi2_contingency([[398, 2], [270, 30]], correction=False).pvalue
    assert (test.test, test.subject, test.fires) == (MISSING, "size", True)
    assert test.p_value == pytest.approx(p)
    assert test.effect == pytest.approx(30 / 300 - 2 / 400)


@pytest.mark.parametrize(("factor", "fires"), [(1.0, False), (1.5, True)])
def test_other_numbers_are_noticed(factor: float, fires: bool) -> None:
    """Houses that are half as large again."""
    assert only(column(numbers(1_000, 1)), column(numbers(1_000, 2, factor)))[DISTRIBUTION].fires is fires


def test_extreme_values_are_noticed() -> None:
    """A twentieth of the new numbers is a hundred times as large, which changes the distribution little."""
    new = numbers(2_000, 2)
    new[::20] *= 100
    tests = only(column(numbers(2_000, 1)), column(new))
    assert tests[EXTREMES].fires
    assert tests[EXTREMES].effect == pytest.approx(0.05, abs=0.01)


def test_other_shares_are_noticed() -> None:
    """And a new category, which is named with its share."""
    old, new = texts(1_000, 1, [0.5, 0.3, 0.2]), texts(1_000, 2, [0.3, 0.5, 0.2])
    test = only(Inputs({}, {"kind": old}), Inputs({}, {"kind": np.where(new == "c", "d", new)}))[CATEGORIES]
    assert test.fires
    assert test.note.startswith("new: d 2")


def test_rare_categories_are_one() -> None:
    """Those with fewer than five expected rows in the smaller sample. So the chi-squared test stays valid."""
    old, new = {"a": 900, "b": 97, "x": 2, "y": 1}, {"a": 90, "b": 8, "z": 2}
    assert pooled(old, new).tolist() == [[900, 97, 3], [90, 8, 2]]


def test_new_and_vanished_categories_are_named() -> None:
    """The three largest of each, without an end of a very long name; the rest is counted."""
    new = {"a": 50, "b" * 200: 20, "c": 15, "": 10, "d": 4, "e": 1}
    named = changed_categories({"a": 90, "z": 10}, new)
    assert named == f"new: {'b' * 64} 20 %, c 15 %, no value 10 %, 2 more with 5 %; gone: z 10 %"
    assert changed_categories({"a": 1}, {"a": 2}) == ""
    assert changed_categories({"a": 1}, {"b": 2}) == "new: b 100 %; gone: a 100 %"


def test_a_weighted_column_has_a_larger_part_of_the_level() -> None:
    """One without a weight never fires."""
    old = Inputs({"size": numbers(1_000, 1), "age": numbers(1_000, 3)}, {})
    new = Inputs({"size": numbers(1_000, 2, 1.5), "age": numbers(1_000, 4, 1.5)}, {})
    tests = input_tests(old, new, None, RULE, LEVEL, {"size": 1.0})
    fired: Mapping[str, bool] = {each.subject: each.fires for each in tests if each.test == DISTRIBUTION}
    assert fired == {"size": True, "age": False}


def test_what_cannot_be_compared_is_left_out() -> None:
    """A column that is new, gone or without a value. Values that are no numbers are no values."""
    old = Inputs({"size": numbers(100, 1), "gone": numbers(100, 1)}, {"kind": np.array([], dtype=str)})
    new = Inputs({"size": np.full(100, np.nan), "later": numbers(100, 1)}, {"kind": np.array(["a"])})
    assert input_tests(old, new, (Presence(0, {}), Presence(100, {"size": 0})), RULE, LEVEL) == []
    gaps = numbers(300, 2)
    gaps[:100] = np.nan
    assert only(column(numbers(300, 1)), column(gaps)).keys() == {DISTRIBUTION, EXTREMES}


def test_distances_are_defined() -> None:
    """Equal constants have none, other ones the greatest. The largest numbers of both signs have one."""
    constant, huge = np.full(100, 0.1), np.array([-1.7e308, 1.7e308] * 50)
    assert distance(constant, np.full(30, 0.1)) == 0
    assert distance(constant, np.full(30, 0.2)) == MAX_EFFECT
    assert distance(huge, -huge) == 0
    assert 0 < distance(huge, constant) < 2
    tests = only(column(huge), column(constant))
    assert tests[EXTREMES].effect == 0


def test_one_category_is_no_difference() -> None:
    """Equal constants, and samples whose categories are all rare."""
    same = Inputs({}, {"kind": np.full(100, "a")})
    rare = Inputs({}, {"kind": np.array([str(i) for i in range(100)])})
    for inputs in (same, rare):
        test = only(inputs, inputs)[CATEGORIES]
        assert (test.p_value, test.effect, test.fires) == (1.0, 0.0, False)
    assert Counter(only(same, rare)[CATEGORIES].note.split(":")[0].split()) == {"new": 1}
