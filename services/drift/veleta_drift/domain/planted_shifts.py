"""Draws random batches from labelled rows, and plants a shift in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from veleta.dataset import Dataset, Values
from veleta_drift.domain.evidence import Evidence
from veleta_drift.domain.inputs_arm import Presence
from veleta_drift.domain.row_sample import inputs_of, slices_of
from veleta_drift.domain.samples import Errors, Inputs

WEIGHT = 3
"""How many times as often a row is drawn, if the mix changes."""
MISSING = 0.1
"""The share of rows that lose a value."""
LARGEST, THIRD = 3, 3
"""The prices of so many of the largest categories rise; one of so many categories is drawn more often."""
NOTHING = "nothing"


@dataclass(frozen=True)
class Sample:
    """Rows as received: the numbers of each column, and which values there are; and the clean ones' evidence.

    A missing number is NaN. `given` has a mask of the rows with a value, by column.
    """

    numbers: Mapping[str, np.ndarray]
    given: Mapping[str, np.ndarray]
    evidence: Evidence

    @classmethod
    def of_rows(cls, dataset: Dataset, rows: Sequence[Values], signed: np.ndarray, sizes: np.ndarray) -> Self:
        """Clean rows, and what a model is wrong about each: see `Errors`."""
        names = [c.name for c in dataset.columns if c.name not in dataset.drift.ignore]
        return cls(
            {name: np.array([row[name] for row in rows], float) for name in dataset.drift_columns},
            {name: np.array([row[name] is not None for row in rows]) for name in names},
            Evidence(inputs_of(dataset, rows), Errors(signed, sizes, slices_of(dataset, rows))),
        )

    def __len__(self) -> int:
        return len(next(iter(self.given.values())))

    @property
    def presence(self) -> Presence:
        """How many values of each column there are."""
        return Presence(len(self), {name: int(given.sum()) for name, given in self.given.items()})

    @property
    def errors(self) -> Errors:
        """The errors of the clean rows."""
        assert self.evidence.errors is not None  # noqa: S101 - every sample has them
        return self.evidence.errors

    def drawn(self, chosen: np.ndarray) -> "Sample":
        """The rows at these positions. All rows must be clean."""
        return Sample(_at(self.numbers, chosen), _at(self.given, chosen), self._clean(chosen))

    def raised(self, target: str, factors: np.ndarray) -> "Sample":
        """Each row with its target times a factor."""
        numbers = {name: values * factors if name == target else values for name, values in self.numbers.items()}
        errors = replace(self.errors, signed=self.errors.signed + np.log(factors))
        return replace(self, numbers=numbers, evidence=replace(self.evidence, errors=errors))

    def without(self, column: str, lost: np.ndarray) -> "Sample":
        """The value of a column that is not optional is missing in some rows, which are not clean then.

        All rows must be clean.
        """
        numbers = {
            name: np.where(lost, np.nan, values) if name == column else values for name, values in self.numbers.items()
        }
        return Sample(numbers, {**self.given, column: ~lost}, self._clean(~lost))

    def _clean(self, chosen: np.ndarray) -> Evidence:
        inputs, errors = self.evidence.inputs, self.errors
        parts = Errors(errors.signed[chosen], errors.sizes[chosen], _at(errors.slices, chosen), errors.unknown)
        return Evidence(Inputs(_at(inputs.numbers, chosen), _at(inputs.texts, chosen)), parts)


Draw = Callable[[int, np.random.Generator], Sample]
"""Draws a batch with so many rows as received."""


@dataclass(frozen=True)
class Shift:
    """What differs between the reference and the batches. `wrong`: the model is wrong about them."""

    name: str
    draw: Draw
    wrong: bool = False


def shifts(dataset: Dataset, rows: Sample) -> list[Shift]:
    """No shift, and those that the columns of the dataset allow.

    The number is the first one with which the target rises, or else the first one. It is not lost if it is optional: no
    prediction without it is known. The category is the first slice of the evaluation, or else the first one.
    """
    inputs, target = rows.evidence.inputs, dataset.target
    texts = {**inputs.texts, **rows.errors.slices}
    number = next(iter([*dataset.training.increasing, *inputs.numbers]), None)
    category = next(iter([*rows.errors.slices, *inputs.texts]), None)
    required = {column.name for column in dataset.inputs if not column.optional}
    return [
        Shift(NOTHING, partial(plain, rows)),
        Shift(f"{target} +5 %", partial(_raised, rows, target, 1.05), wrong=True),
        Shift(f"{target} +10 %", partial(_raised, rows, target, 1.1), wrong=True),
        *([Shift(f"{number} mix", partial(_mixed, rows, _large(inputs.numbers[number])))] if number else []),
        *([Shift(f"{number} missing", partial(_with_gaps, rows, number))] if number in required else []),
        *(_category_shifts(rows, target, category, texts[category].astype(str)) if category else []),
    ]


def _large(values: np.ndarray) -> np.ndarray:
    """Which numbers are above the median."""
    return np.asarray(values > np.median(values[~np.isnan(values)]))


def _category_shifts(rows: Sample, target: str, name: str, values: np.ndarray) -> list[Shift]:
    names, counts = np.unique(values, return_counts=True)
    mixed = partial(_mixed, rows, np.isin(values, names[::THIRD]))
    largest = np.isin(values, names[np.argsort(-counts, kind="stable")][:LARGEST])
    raised = partial(_raised, rows, target, np.where(largest, 1.1, 1.0))
    return [Shift(f"{name} mix", mixed), Shift(f"{target} +10 % in {LARGEST} of {name}", raised, wrong=True)]


def plain(rows: Sample, size: int, rng: np.random.Generator) -> Sample:
    """A random part of complete rows, without a shift."""
    return rows.drawn(rng.choice(len(rows), size, replace=False))


def _raised(rows: Sample, target: str, factors: np.ndarray | float, size: int, rng: np.random.Generator) -> Sample:
    return plain(rows.raised(target, np.broadcast_to(factors, len(rows))), size, rng)


def _mixed(rows: Sample, often: np.ndarray, size: int, rng: np.random.Generator) -> Sample:
    weights = np.where(often, WEIGHT, 1)
    return rows.drawn(rng.choice(len(rows), size, replace=False, p=weights / weights.sum()))


def _with_gaps(rows: Sample, column: str, size: int, rng: np.random.Generator) -> Sample:
    return plain(rows, size, rng).without(column, rng.random(size) < MISSING)


def _at(columns: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[chosen] for name, values in columns.items()}
