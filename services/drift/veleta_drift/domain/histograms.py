"""Histograms of a batch, by column: its shares beside those of what it is compared with."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from veleta.events.catalogue import ComparedWith, Histogram, HistogramBin
from veleta_drift.domain.samples import Inputs

BINS = 10
"""Bins of a number, at the quantiles of the reference. There are fewer if many of its rows have the same value."""
MAX_CATEGORIES = 20
"""The categories with a bin of their own: those with the largest share on either side. The others share one."""
NOTHING = Inputs({}, {})


def histograms(
    batch: Inputs, reference: Inputs | None = None, compared_with: ComparedWith | None = None
) -> list[Histogram]:
    """The histogram of each column in which the batch has a value.

    A column that the reference does not have is binned by its own quantiles, and is compared with nothing.
    """
    old = reference or NOTHING
    binned = {
        name: _number_bins(_finite(values), _finite(old.numbers.get(name, np.empty(0))))
        for name, values in batch.numbers.items()
    }
    binned |= {
        name: _category_bins(_category_shares(values), _category_shares(old.texts.get(name, np.empty(0))))
        for name, values in batch.texts.items()
    }
    return [
        Histogram(column=name, reference=None if bins[0].reference_share is None else compared_with, bins=bins)
        for name, bins in binned.items()
        if bins
    ]


def _number_bins(new: np.ndarray, old: np.ndarray) -> list[HistogramBin]:
    """BINS bins between the lowest and the highest old number, one below and one above them. None without a new number.

    A bin has the numbers above its lower bound, up to its upper one. The first of the BINS also has the lowest number.
    """
    if not len(new):
        return []
    edges = np.unique(np.quantile(old if len(old) else new, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
    edges = edges if len(edges) > 1 else np.repeat(edges, 2)
    shares, old_shares = _shares(new, edges), _shares(old, edges)
    bounds = [None, *map(_shortest, edges), None]
    return [
        HistogramBin(lower=lower, upper=upper, share=share, reference_share=old_share)
        for lower, upper, share, old_share in zip(bounds[:-1], bounds[1:], shares, old_shares, strict=True)
    ]


def _shares(values: np.ndarray, edges: np.ndarray) -> Sequence[float | None]:
    """The share below the first edge, those between two edges, and that above the last one. None without values."""
    if not len(values):
        return [None] * (len(edges) + 1)
    below = int((values < edges[0]).sum())
    up_to = [0, below, *(int((values <= edge).sum()) for edge in edges[1:]), len(values)]
    return [_rounded(count / len(values)) for count in np.diff(up_to).tolist()]


def _category_bins(shares: Mapping[str, float], old_shares: Mapping[str, float]) -> list[HistogramBin]:
    """A bin for each of the largest categories, and the last one for the rest, if any. None without a new category."""
    if not shares:
        return []

    def larger_share(name: str) -> float:
        return max(shares.get(name, 0.0), old_shares.get(name, 0.0))

    def one_bin(category: str | None, names: Sequence[str]) -> HistogramBin:
        share, old_share = (_rounded(sum(side.get(name, 0.0) for name in names)) for side in (shares, old_shares))
        return HistogramBin(category=category, share=share, reference_share=old_share if old_shares else None)

    ordered = sorted({*shares, *old_shares}, key=lambda name: (-larger_share(name), name))
    bins = [one_bin(name, [name]) for name in ordered[:MAX_CATEGORIES]]
    rest = ordered[MAX_CATEGORIES:]
    return [*bins, one_bin(None, rest)] if rest else bins


def _category_shares(values: np.ndarray) -> Mapping[str, float]:
    return {name: count / len(values) for name, count in Counter(values.tolist()).items()}


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[np.isfinite(values)])


def _shortest(edge: np.floating) -> float:
    """The shortest number that is the same float32: 0.38, not 0.3799999952."""
    return float(str(np.float32(edge)))


def _rounded(share: float) -> float:
    return round(share, 6)
