"""The tests of the inputs: whether a batch holds other rows than those that the champion learnt from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from veleta.dataset import DriftRule
from veleta.drift_sentences import CATEGORIES, DISTRIBUTION, EXTREMES, MISSING
from veleta.events.catalogue import DriftTest
from veleta_drift.domain.holm import holm
from veleta_drift.domain.samples import Inputs, bounded

EXTREME = 0.999
"""A number above this quantile of the reference is extreme."""
MAX_EXTREME = 0.01
"""The share of extreme numbers from which it matters."""
MAX_MISSING = 0.05
"""The change of the share of rows without a value from which it matters."""
MIN_EXPECTED = 5
"""Categories with fewer expected rows are pooled, as the chi-squared test requires."""
OTHER = "\0other"
MAX_NAMED = 3
"""How many new or vanished categories are named."""
MAX_NAME = 64
"""Characters of such a name."""


@dataclass(frozen=True)
class Presence:
    """The number of rows of a batch as received, and of those with a value by column."""

    rows: int
    values: Mapping[str, int]


@dataclass(frozen=True)
class _Result:
    subject: str
    test: str
    p: float
    effect: float
    limit: float
    note: str = ""


def input_tests(
    reference: Inputs,
    batch: Inputs,
    presence: tuple[Presence, Presence] | None,
    rule: DriftRule,
    level: float,
    weights: Mapping[str, float] | None = None,
) -> list[DriftTest]:
    """Compare the rows of a batch with those of a reference, with at most `level` false alarms in all.

    `presence` has the values of the batch before and of this one. `weights` has the weight of each column.
    """
    results = [*_number_results(reference, batch, rule), *_text_results(reference, batch, rule)]
    results += _missing_results(*presence) if presence else []
    shares = [weights.get(each.subject, 0.0) for each in results] if weights is not None else None
    adjusted = holm([each.p for each in results], shares)
    return [
        DriftTest(
            arm="inputs",
            subject=each.subject,
            test=each.test,
            p_value=p,
            effect=each.effect,
            limit=each.limit,
            level=level,
            fires=p <= level and each.effect > each.limit,
            note=each.note,
        )
        for each, p in zip(results, adjusted, strict=True)
    ]


def _number_results(reference: Inputs, batch: Inputs, rule: DriftRule) -> Iterator[_Result]:
    for name in batch.numbers:
        if name not in reference.numbers:
            continue
        old, new = (each.numbers[name][np.isfinite(each.numbers[name])] for each in (reference, batch))
        if len(old) == 0 or len(new) == 0:
            continue
        p = float(stats.ks_2samp(old, new, method="asymp").pvalue)
        yield _Result(name, DISTRIBUTION, p, distance(old, new), rule.distance)
        yield _extremes(name, old, new)


def distance(old: np.ndarray, new: np.ndarray) -> float:
    """The Wasserstein distance of two samples of log(1 + |x|), with the sign of x, in old standard deviations.

    MAX_EFFECT if the old sample is constant and the new one has other values.
    """
    before, after = (np.sign(each) * np.log1p(np.abs(each)) for each in (old, new))
    spread = float(before.std()) if np.ptp(before) else 0.0  # that of equal values may be a rounding error
    return bounded(float(stats.wasserstein_distance(before, after)), spread)


def _extremes(name: str, old: np.ndarray, new: np.ndarray) -> _Result:
    """Whether more of the new numbers are above the EXTREME quantile of the old ones, by Fisher's exact test."""
    bound = float(np.quantile(old, EXTREME, method="inverted_cdf"))  # no arithmetic, which could overflow
    before, after = int((old >= bound).sum()), int((new > bound).sum())
    table = [[after, len(new) - after], [before, len(old) - before]]
    p = float(stats.fisher_exact(table, alternative="greater").pvalue)
    return _Result(name, EXTREMES, p, after / len(new), MAX_EXTREME)


def _text_results(reference: Inputs, batch: Inputs, rule: DriftRule) -> Iterator[_Result]:
    for name in batch.texts:
        if name not in reference.texts or not len(reference.texts[name]) or not len(batch.texts[name]):
            continue
        old, new = (Counter(each.texts[name].tolist()) for each in (reference, batch))
        table = pooled(old, new)
        shares = table / table.sum(axis=1, keepdims=True)
        variation = float(np.abs(shares[0] - shares[1]).sum() / 2)
        p = float(stats.chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0
        yield _Result(name, CATEGORIES, p, variation, rule.variation, changed_categories(old, new))


def pooled(old: Mapping[str, int], new: Mapping[str, int]) -> np.ndarray:
    """The counts of both samples by category (2 x categories). Rare categories are one."""
    rows = sum(old.values()), sum(new.values())
    counts = dict[str, list[int]]()
    for name in sorted({*old, *new}):
        both = old.get(name, 0), new.get(name, 0)
        rare = sum(both) * min(rows) / sum(rows) < MIN_EXPECTED
        entry = counts.setdefault(OTHER if rare else name, [0, 0])
        entry[0] += both[0]
        entry[1] += both[1]
    return np.array(list(counts.values()), dtype=float).T


def changed_categories(old: Mapping[str, int], new: Mapping[str, int]) -> str:
    """`new: Ohio 12 %; gone: Texas 8 %`: those that only one sample has, with their share there. Empty without any."""
    parts = [("new", _only_in(new, old)), ("gone", _only_in(old, new))]
    return "; ".join(f"{word}: {names}" for word, names in parts if names)


def _only_in(one: Mapping[str, int], other: Mapping[str, int]) -> str:
    rows = sum(one.values())
    names = sorted((name for name in one if name not in other), key=lambda name: (-one[name], name))
    named = [f"{name[:MAX_NAME] or 'no value'} {100 * one[name] / rows:.3g} %" for name in names[:MAX_NAMED]]
    if rest := names[MAX_NAMED:]:
        named.append(f"{len(rest)} more with {100 * sum(one[name] for name in rest) / rows:.3g} %")
    return ", ".join(named)


def _missing_results(before: Presence, after: Presence) -> Sequence[_Result]:
    """Whether the share of rows without a value changed, by the chi-squared test."""
    if not before.rows or not after.rows:
        return []
    found = []
    for name, present in after.values.items():
        if name not in before.values:
            continue
        table = np.array(
            [[before.values[name], before.rows - before.values[name]], [present, after.rows - present]], dtype=float
        )
        p = float(stats.chi2_contingency(table, correction=False).pvalue) if table.sum(axis=0).all() else 1.0
        change = abs(table[0, 1] / before.rows - table[1, 1] / after.rows)
        found.append(_Result(name, MISSING, p, float(change), MAX_MISSING))
    return found
