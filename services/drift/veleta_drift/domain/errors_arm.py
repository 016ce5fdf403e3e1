"""The tests of the errors: whether the champion is wrong about a batch."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

from veleta.dataset import DriftRule
from veleta.drift_sentences import BIAS, SIZE, WHOLE
from veleta.events.catalogue import DriftTest
from veleta_drift.domain.holm import holm
from veleta_drift.domain.samples import Errors, bounded

MIN_ROWS = 100
"""With fewer rows on either side, errors are not compared."""


def error_tests(reference: Errors, batch: Errors, rule: DriftRule, level: float) -> list[DriftTest]:
    """Compare the champion's errors on a batch with those on its holdout, with at most `level` false alarms.

    Both have MIN_ROWS rows at least. Half of the level is for the bias, half for the size of the errors. Of each, half
    is for all rows, and half for the slices with enough rows, whose p-values are adjusted for their number.
    """
    old, new = reference.parts(), batch.parts()
    names = [name for name in new if name in old and min(len(old[name]), len(new[name])) >= MIN_ROWS]
    pairs = {name: (old[name], new[name]) for name in names}
    found = list[DriftTest]()
    for name, test, limit in ((BIAS, _bias, rule.bias), (SIZE, _growth, rule.growth)):
        found += _tests(name, {WHOLE: (reference.signed, batch.signed)}, test, limit, level / 4)
        found += _tests(name, pairs, test, limit, level / 4)
    return found


def _tests(
    name: str,
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    test: Callable[[np.ndarray, np.ndarray], tuple[float, float]],
    limit: float,
    level: float,
) -> list[DriftTest]:
    """One test of several parts of the rows. It fires with an adjusted p-value up to `level`, and above `limit`."""
    results = [test(old, new) for old, new in pairs.values()]
    adjusted = holm([p for p, _ in results])
    return [
        DriftTest(
            arm="errors",
            subject=subject,
            test=name,
            p_value=p,
            effect=effect,
            limit=limit,
            level=level,
            fires=p <= level and abs(effect) > limit,
        )
        for subject, p, (_, effect) in zip(pairs, adjusted, results, strict=True)
    ]


def _bias(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """The p-value of Welch's test that the mean signed errors are equal, and their difference."""
    (before, old_deviation), (after, new_deviation) = _moments(old), _moments(new)
    effect = after - before
    if old_deviation == new_deviation == 0:
        return float(effect == 0), effect
    tested = stats.ttest_ind_from_stats(  # `ttest_ind` warns if one sample is constant
        after, new_deviation, len(new), before, old_deviation, len(old), equal_var=False
    )
    return float(tested.pvalue), effect


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Their mean and standard deviation. Those of equal values have no rounding errors."""
    if np.ptp(values) == 0:
        return float(values[0]), 0.0
    return float(values.mean()), float(values.std(ddof=1))


def _growth(old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """The p-value of the rank test that the absolute errors did not grow, and the growth of their median.

    The test is that of Mann and Whitney, one-sided. An effect that only decreased is none.
    """
    before, after = np.abs(old), np.abs(new)
    middle, grown = float(np.median(before)), float(np.median(after))
    effect = bounded(max(grown - middle, 0.0), middle)
    return float(stats.mannwhitneyu(after, before, alternative="greater").pvalue), effect
