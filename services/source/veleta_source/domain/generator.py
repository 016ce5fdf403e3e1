"""The section [generator] of a dataset file: by what rules rows are made when there is no file of them."""

from collections import Counter
from datetime import date
from functools import cached_property
from typing import Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from veleta.dataset import Dataset, Name, Section
from veleta.errors import Stop


class Region(Section):
    """A region: its share of the properties, how its targets lie above the median (logarithm), and its codes."""

    name: str
    share: float
    level: float
    codes: tuple[int, int]


class Places(Section):
    """The columns that say where a property is. Towns are many and of unlike size; their names are put together."""

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

    @cached_property
    def names(self) -> list[str]:
        """All names that a town can have."""
        return [f"{p}{s}{e}" for p in self.prefixes for s in self.stems for e in self.endings]


class Made(Section):
    """A column that is made."""

    column: Name


class Number(Made):
    """A column whose logarithm is normal about the median's; `follows`: power by which it goes with earlier ones."""

    median: float
    spread: float
    step: float
    least: float
    most: float
    follows: dict[Name, float] = Field(default_factory=dict)


class Choice(Made):
    """A category and the shares of its values."""

    shares: dict[str, float]


class Days(Made):
    """A date, each day of the time equally often."""

    first: date
    last: date
    growth_per_year: float
    """By how much the target's logarithm grows in a year."""


class Identifier(Made):
    """A number that only names something."""

    first: int
    last: int


class Target(Section):
    """What the target follows beside the place and the date; `spread` is what nothing explains."""

    median: float
    spread: float
    step: float
    follows: dict[Name, float]


class Quota(Section):
    """A batch: its rows at scale 1 and the least, greatest and mean target. `tail`: few are very large (Pareto)."""

    place: int
    rows: int
    least: float
    most: float
    mean: float
    tail: bool = False

    def targets(self, count: int) -> np.ndarray:
        """`count` targets in rising order: the quantiles of a power law between the bounds, or of a Pareto tail."""
        quantiles = (np.arange(count) + 0.5) / count
        if self.tail:
            alpha = self.mean / (self.mean - self.least)
            return np.minimum(self.least * (1 - quantiles) ** (-1 / alpha), self.most)
        mean = (self.mean - self.least) / (self.most - self.least)
        return self.least + (self.most - self.least) * quantiles ** ((1 - mean) / mean)


class Generator(Section):
    """The whole section. `offers` is how often a property is offered on average."""

    offers: float
    places: Places
    numbers: list[Number]
    choices: list[Choice]
    days: list[Days]
    identifiers: list[Identifier]
    target: Target
    batches: list[Quota]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        earlier: set[str] = set()
        for number in self.numbers:
            if unknown := set(number.follows) - earlier:
                raise ValueError(
                    f"{number.column} follows what is not declared before it: {', '.join(sorted(unknown))}"
                )
            earlier.add(number.column)
        if unknown := set(self.target.follows) - earlier:
            raise ValueError(f"the target follows no such numbers: {', '.join(sorted(unknown))}")
        return self

    @property
    def columns(self) -> list[str]:
        """All that it makes but the target."""
        places = self.places
        made: list[Made] = [*self.numbers, *self.choices, *self.days, *self.identifiers]
        return [places.region, places.town, places.code, places.address, *(each.column for each in made)]


def generator_of(dataset: Dataset) -> Generator:
    """The dataset's generator.

    Raises:
        Stop: there is none, or it is not valid; the message says what is wrong.
    """
    if not dataset.generator:
        raise Stop(f"no CSV was given, and the dataset file of {dataset.name} has no [generator] to make rows by")
    try:
        generator = Generator.model_validate(dataset.generator)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'section'}: {e['msg']}" for e in error.errors())
        raise Stop(f"the dataset file's [generator] is not valid: {faults}") from error
    made, wanted = Counter(generator.columns), Counter(column.name for column in dataset.inputs)
    if wrong := sorted((made - wanted) + (wanted - made)):
        raise Stop(f"[generator] must make each column but the target once; look at: {', '.join(wrong)}")
    if unruled := {quota.place for quota in generator.batches} - {rule.place for rule in dataset.source}:
        raise Stop(f"[generator] has batches at places that no [[source]] rule has: {sorted(unruled)}")
    return generator
