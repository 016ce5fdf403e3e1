"""A sample of the rows of a batch: what the policies beside the 15 % rule look at."""

import math
from collections.abc import Sequence

import numpy as np

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row, Values
from veleta.features import Feature, Features, column_feature
from veleta_drift.domain.samples import Inputs

MAX_ROWS = 10_000
"""The most rows of a sample. Their mean error is exact to about 0.003, and a change below 0.02 does not matter."""


class RowSample:
    """Every k-th row of a batch in its order, at most MAX_ROWS."""

    def __init__(self, dataset: Dataset, rows: int, position: int = 0) -> None:
        """`rows` is the number of rows of the batch, and `position` that of the first row that is added."""
        self._dataset = dataset
        self._step = max(1, math.ceil(rows / MAX_ROWS))
        self._position = position
        self._rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Add the next rows, as received."""
        self._rows += rows[-self._position % self._step :: self._step]
        self._position += len(rows)

    def clean(self) -> list[Values]:
        """Its clean rows, typed."""
        typed = (self._dataset.convert(row)[0] for row in self._rows)
        return [values for values in typed if rejection(self._dataset, values) is None]


def inputs_of(dataset: Dataset, rows: Sequence[Values]) -> Inputs:
    """The features of clean rows that are columns of the row themselves, but those that drift ignores.

    Numbers are float32, as the model has learnt them. A larger one counts as the largest float32.
    """
    features = Features(dataset)
    own = {
        info.name: (position, info.categorical)
        for position, info in enumerate(features.infos)
        if info.is_column and info.name not in dataset.drift.ignore
    }
    table = [features.own_of(row) for row in rows]
    return Inputs(
        {name: _float32([row[at] for row in table]) for name, (at, text) in own.items() if not text},
        {name: np.array([row[at] for row in table], object) for name, (at, text) in own.items() if text},
    )


def slices_of(dataset: Dataset, rows: Sequence[Values]) -> dict[str, np.ndarray]:
    """The value of each category that the dataset file declares as slices, as the model sees it: empty if missing."""
    columns = [dataset.by_name[name] for name in dataset.evaluation.slices]
    return {c.name: np.array([column_feature(c, row[c.name]) for row in rows], object) for c in columns}


def _float32(numbers: Sequence[Feature]) -> np.ndarray:
    largest = np.finfo(np.float32).max
    return np.clip(np.array(numbers, np.float64), -largest, largest).astype(np.float32)
