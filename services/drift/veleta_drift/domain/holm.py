"""Adjusts p-values for their number."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """The adjusted p-values, in their order: those up to a level have at most this probability of one false alarm.

    The method is that of Holm (1979, A simple sequentially rejective multiple test procedure), with its weights: a
    p-value with a larger weight has a larger part of the level, and one with the weight 0 has none.
    """
    adjusted = np.ones(len(p_values))
    shares = np.ones(len(p_values)) if weights is None else np.asarray(weights, dtype=float)
    (counted,) = np.nonzero(shares > 0)
    ratios = np.asarray(p_values, dtype=float)[counted] / shares[counted]
    order = np.argsort(ratios, kind="stable")
    remaining = np.cumsum(shares[counted][order][::-1])[::-1]
    adjusted[counted[order]] = np.maximum.accumulate(np.minimum(ratios[order] * remaining, 1.0))
    return [float(each) for each in adjusted]
