"""Adjusts p-values for their number."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """The adjusted p-values, in their order: those up to a level have at most this probability of one false alarm.

    The method is that of Holm (1979, A simple sequentially rejective multiple test procedure), with its weights: a
    p-value with a larger weight has a larger part of the level, and one with the weight 0 has none.
    """
    values = np.asarray(p_values, dtype=float)
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(shares > 0, values / shares, np.inf)
    order = np.argsort(ratios, kind="stable")
    remaining = np.cumsum(shares[order][::-1])[::-1]
    steps = np.where(remaining > 0, ratios[order] * remaining, 1.0)
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(np.minimum(steps, 1.0))
    return [float(each) for each in adjusted]
