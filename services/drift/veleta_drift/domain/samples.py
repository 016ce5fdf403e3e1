"""What a sample of rows has of drift's evidence: the values that the model sees, and how wrong it is about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

NOT_GIVEN = "not given"
"""The name of the slice without a value."""
MAX_EFFECT = 1e9
"""A greater effect counts as this one: an event has finite numbers only."""


@dataclass(frozen=True)
class Inputs:
    """The features of clean rows, by column: numbers (float32, as a model learns them; dates as years with a
    fraction) and texts.
    """

    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return max((len(values) for values in [*self.numbers.values(), *self.texts.values()]), default=0)


@dataclass(frozen=True)
class Errors:
    """How wrong a model is about labelled rows.

    `signed` is log(price) - log(prediction) of each row: 0.05 if the price is 5 % above its prediction. `sizes` is its
    expected absolute value by the model of errors, empty without one. `slices` has each row's value of each declared
    category. `unknown` is the share of rows with a value that the model has not learnt.
    """

    signed: np.ndarray
    sizes: np.ndarray = field(default_factory=lambda: np.empty(0))
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    unknown: float = 0.0

    def __len__(self) -> int:
        return len(self.signed)

    def parts(self) -> dict[str, np.ndarray]:
        """The signed errors of each slice, by its name: `state = Ohio`."""
        return {
            f"{column} = {value or NOT_GIVEN}": errors
            for column, values in self.slices.items()
            for value, errors in _grouped(values.tolist(), self.signed).items()
        }


def bounded(change: float, base: float) -> float:
    """change / base, at most MAX_EFFECT. 0 without a change, also if `base` is 0. Both are 0 or above."""
    return change / base if change < MAX_EFFECT * base else MAX_EFFECT * (change > 0)


def _grouped(names: Sequence[str], values: np.ndarray) -> dict[str, np.ndarray]:
    """The values of each name, by name in alphabetical order. Comparing all names with each one would take long."""
    position = {name: index for index, name in enumerate(sorted(set(names)))}
    codes = np.fromiter((position[name] for name in names), dtype=np.int64, count=len(names))
    ends = np.cumsum(np.bincount(codes, minlength=len(position)))
    return dict(zip(position, np.split(values[np.argsort(codes, kind="stable")], ends[:-1]), strict=True))
