"""Counts rows with values that a model has not learnt: those of which inference warns."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from veleta.dataset import Dataset, Values
from veleta.features import column_feature
from veleta.training_values import TrainingValues


def unknown_share(dataset: Dataset, learnt: TrainingValues, rows: Sequence[Values]) -> float:
    """The share of clean rows with a value that the model has not learnt. 0 without rows."""

    def features(names: Collection[str], kind: type) -> dict[str, np.ndarray]:
        columns = [dataset.by_name[name] for name in names if name in dataset.by_name]
        return {c.name: np.array([column_feature(c, row[c.name]) for row in rows], kind) for c in columns}

    return unknown_share_by_column(learnt, features(learnt.ranges, float), features(learnt.texts, object))


def unknown_share_by_column(
    learnt: TrainingValues, numbers: Mapping[str, np.ndarray], texts: Mapping[str, np.ndarray]
) -> float:
    """As `unknown_share`, with the features of the rows by column. Numbers may be float32.

    Only the columns of `learnt` count.
    """
    masks = [
        _outside(numbers[name], *learnt.ranges[name], gaps=name in learnt.gaps)
        for name in numbers
        if name in learnt.ranges
    ]
    masks += [_not_among(texts[name], frozenset(learnt.texts[name])) for name in texts if name in learnt.texts]
    unknown = np.logical_or.reduce(masks) if masks else np.empty(0)
    return float(unknown.mean()) if len(unknown) else 0.0


def _outside(numbers: np.ndarray, low: float, high: float, *, gaps: bool) -> np.ndarray:
    """NaN is outside, except with `gaps`. The bounds are rounded as the numbers are, so a bound itself is inside."""
    inside = (numbers.dtype.type(low) <= numbers) & (numbers <= numbers.dtype.type(high))
    return np.asarray(~(inside | np.isnan(numbers)) if gaps else ~inside)


def _not_among(texts: np.ndarray, known: Collection[str]) -> np.ndarray:
    return np.fromiter((text not in known for text in texts), dtype=bool, count=len(texts))
