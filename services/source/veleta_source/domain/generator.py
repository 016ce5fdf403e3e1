"""The section [generator] of a dataset file: the distributions of generated rows.

The fields have the names of the keys in the file. Levels, spreads and growths are in units of the natural logarithm.
"""

from collections import Counter
from datetime import date
from typing import Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from veleta.dataset import Dataset, Name, Section
from veleta.errors import Stop


class Region(Section):
    """A region: its share of the properties, the level of its targets above the median, and its range of codes."""

    name: str
    share: float
    level: float
    codes: tuple[int, int]


class Places(Section):
    """The columns of a property's location. The names of towns are composed of prefixes, stems and endings."""

    region: Name
    town: Name
    code: Name
    address: Name
    addresses: tuple[int, int]
    towns: int
    town_spread: float
    prefixes: list[str]
    stems: list[str]
    endings: list[str]
    regions: list[Region]


class GeneratedColumn(Section):
    """How the values of one column are generated, as declared in the dataset file."""

    column: Name


class NumberColumn(GeneratedColumn):
    """A log-normal number between `least` and `most`. `follows`: the exponents of earlier numbers as factors."""

    median: float
    spread: float
    step: float
    least: float
    most: float
    follows: dict[Name, float] = Field(default_factory=dict)


class CategoryColumn(GeneratedColumn):
    """A category: the shares of its values."""

    shares: dict[str, float]


class DateColumn(GeneratedColumn):
    """A date, uniformly distributed. `growth_per_year` is that of the target."""

    first: date
    last: date
    growth_per_year: float


class IdentifierColumn(GeneratedColumn):
    """An integer, uniformly distributed from `first` to `last`."""

    first: int
    last: int


class TargetColumn(Section):
    """The target. `follows`: the exponents of numbers as factors. `spread` is the unexplained part."""

    median: float
    spread: float
    step: float
    follows: dict[Name, float]


class BatchShape(Section):
    """A batch: its rows at scale 1, and the least, greatest and mean target. `tail`: a Pareto distribution."""

    place: int
    rows: int
    least: float
    most: float
    mean: float
    tail: bool = False

    def targets(self, count: int) -> np.ndarray:
        """`count` targets in ascending order: quantiles of a power law between the bounds, or of a Pareto tail."""
        quantiles = (np.arange(count) + 0.5) / count
        if self.tail:
            alpha = self.mean / (self.mean - self.least)
            return np.minimum(self.least * (1 - quantiles) ** (-1 / alpha), self.most)
        mean = (self.mean - self.least) / (self.most - self.least)
        return self.least + (self.most - self.least) * quantiles ** ((1 - mean) / mean)


class Generator(Section):
    """The whole section. `offers` is the mean number of offers of one property."""

    offers: float
    places: Places
    numbers: list[NumberColumn]
    choices: list[CategoryColumn]
    days: list[DateColumn]
    identifiers: list[IdentifierColumn]
    target: TargetColumn
    batches: list[BatchShape]

    @model_validator(mode="after")
    def _follows_declared_numbers(self) -> Self:
        declared: set[str] = set()
        for name, follows in [*((n.column, n.follows) for n in self.numbers), ("the target", self.target.follows)]:
            if unknown := set(follows) - declared:
                raise ValueError(f"{name} follows undeclared columns: {', '.join(sorted(unknown))}")
            declared.add(name)
        return self

    @property
    def columns(self) -> list[str]:
        """All generated columns except the target."""
        places = self.places
        others: list[GeneratedColumn] = [*self.numbers, *self.choices, *self.days, *self.identifiers]
        return [places.region, places.town, places.code, places.address, *(other.column for other in others)]


def parse_generator(dataset: Dataset) -> Generator:
    """The generator of a dataset. Raises Stop if there is none, or if it is not valid."""
    if not dataset.generator:
        raise Stop(f"no CSV is given, and the dataset file of {dataset.name} has no [generator]")
    try:
        generator = Generator.model_validate(dataset.generator)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'section'}: {e['msg']}" for e in error.errors())
        raise Stop(f"[generator] of the dataset file is not valid: {faults}") from error
    generated, required = Counter(generator.columns), Counter(column.name for column in dataset.inputs)
    if wrong := sorted((generated - required) + (required - generated)):
        raise Stop(f"[generator] must have each column except the target once; wrong: {', '.join(wrong)}")
    if unknown := {batch.place for batch in generator.batches} - {rule.place for rule in dataset.source}:
        raise Stop(f"[generator] has batches at places without a [[source]] rule: {sorted(unknown)}")
    return generator
