"""What a sample of rows has of drift's evidence: the values that the model sees, and how wrong it is about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


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
            f"{column} = {value}": self.signed[values == value]
            for column, values in self.slices.items()
            for value in sorted(set(values.tolist()))
        }
