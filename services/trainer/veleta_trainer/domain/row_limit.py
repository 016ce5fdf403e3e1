"""Limits the rows of a fit: a sample of whole properties, which the hash of each decides. The same on each engine."""

import numpy as np

SHIFT = 48
BUCKETS = 2 ** (64 - SHIFT)
"""Properties are divided by the highest bits of their hash. Lower ones decide about the holdout and about folds."""


def bucket_of(properties: np.ndarray) -> np.ndarray:
    """The bucket of each hash of a property (uint64), from 0."""
    return properties >> np.uint64(SHIFT)


def bucket_limit(counts: np.ndarray, most: int) -> int:
    """The buckets below this one have `most` rows together, or fewer. `counts` has the rows of each bucket."""
    return int(np.searchsorted(np.cumsum(counts), most, side="right"))
