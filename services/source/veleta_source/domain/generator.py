"""The section [generator] of a dataset file: the distributions of generated rows.

The fields have the names of the keys in the file. Levels, spreads and growths are in units of the natural logarithm.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Self

import numpy as np
from pydantic import Field, ValidationError

from veleta.dataset import Dataset, Kind, Name, Section
from veleta.errors import Stop
from veleta.planted_market import PlantedMarket
from veleta.toml_document import structure_faults
from veleta.valid_values import did_you_mean, repeated, unknown
from veleta_source.domain.market import Declared, Finite, Market, Positive, Spread, market_faults

EXPONENTS = (0.01, 20.0)
"""The least and the greatest exponent of a distribution of targets."""
BISECTIONS, BISECTED_ROWS = 50, 1_000
"""How often the exponent of a level is halved, and at how many quantiles it is found."""


class Region(Section):
    """A region: its share of the properties, the level of its targets above the median, and its range of codes."""

    name: str
    share: Spread
    level: Finite
    codes: tuple[int, int]


class Places(Section):
    """The columns of a property's location. The names of towns are composed of prefixes, stems and endings."""

    region: Name
    town: Name
    code: Name
    address: Name
    addresses: tuple[int, int]
    towns: int = Field(ge=1, le=1_000_000)
    town_spread: Spread
    prefixes: list[str] = Field(min_length=1)
    stems: list[str] = Field(min_length=1)
    endings: list[str] = Field(min_length=1)
    regions: list[Region] = Field(min_length=1)


class GeneratedColumn(Section):
    """How the values of one column are generated, as declared in the dataset file."""

    column: Name


class NumberColumn(GeneratedColumn):
    """A log-normal number between `least` and `most`. `follows`: the exponents of earlier numbers as factors."""

    median: Positive
    spread: Spread
    step: Positive
    least: Finite
    most: Finite
    follows: dict[Name, float] = Field(default_factory=dict)


class CategoryColumn(GeneratedColumn):
    """A category: the shares of its values."""

    shares: dict[str, Spread]


class DateColumn(GeneratedColumn):
    """A date, uniformly distributed. `growth_per_year` is that of the target."""

    first: date
    last: date
    growth_per_year: Finite


class IdentifierColumn(GeneratedColumn):
    """An integer, uniformly distributed from `first` to `last`."""

    first: int
    last: int


class TargetColumn(Section):
    """The target. `follows`: the exponents of numbers as factors. `spread` is the unexplained part."""

    median: Positive
    spread: Spread
    step: Positive
    follows: dict[Name, float]


class BatchShape(Section):
    """A batch: its rows at scale 1, and the least, greatest and mean target. `tail`: a Pareto distribution."""

    place: int
    rows: int = Field(ge=1, le=10_000_000)
    least: Positive
    most: Finite
    mean: Finite
    tail: bool = False

    def targets(self, count: int, level: float = 0.0) -> np.ndarray:
        """`count` targets in ascending order: quantiles of a power law between the bounds, or of a Pareto tail.

        `level` moves the mean of their logarithms, as far as the bounds allow.
        """
        return self._quantiles(count, self._exponent(level))

    def _quantiles(self, count: int, exponent: float) -> np.ndarray:
        shares = (np.arange(count) + 0.5) / count
        if self.tail:
            return np.minimum(self.least * (1 - shares) ** -exponent, self.most)
        return self.least + (self.most - self.least) * shares**exponent

    def _exponent(self, level: float) -> float:
        """The exponent of the declared mean, or the one that moves the mean logarithm by a level, by bisection."""
        mean = (self.mean - self.least) / (self.most - self.least)
        declared = (self.mean - self.least) / self.mean if self.tail else (1 - mean) / mean
        if not level:
            return declared
        wanted = self._mean_logarithm(declared) + level
        low, high = EXPONENTS
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if (self._mean_logarithm(middle) < wanted) == self.tail:  # only a tail grows with its exponent
                low = middle
            else:
                high = middle
        return low

    def _mean_logarithm(self, exponent: float) -> float:
        return float(np.log(self._quantiles(BISECTED_ROWS, exponent)).mean())


class Generator(Section):
    """The whole section. `offers` is the mean number of offers of one property.

    With `time` each batch has the sales of a month. Otherwise `batches` declares them.
    """

    offers: Positive
    places: Places
    numbers: list[NumberColumn]
    choices: list[CategoryColumn]
    days: list[DateColumn]
    identifiers: list[IdentifierColumn]
    target: TargetColumn
    batches: list[BatchShape]
    market: Market = Market()
    time: PlantedMarket | None = None

    @property
    def first_rows(self) -> int:
        """The rows of the first batch, at scale 1."""
        return self.time.rows if self.time else min(self.batches, key=lambda batch: batch.place).rows

    @property
    def rows(self) -> list[int]:
        """Those of each batch of an epoch, at scale 1."""
        return [self.time.rows] * self.time.months if self.time else [batch.rows for batch in self.batches]

    def summary(self) -> str:
        """How its market changes, in a few words."""
        if not self.time:
            return self.market.summary()
        return "; ".join([self.time.summary(), *([self.market.summary()] if self.market.moving_epochs else [])])

    @property
    def columns(self) -> list[tuple[str, Kind]]:
        """All generated columns except the target, each with the kind that it must have."""
        places = self.places
        located: list[tuple[str, Kind]] = [
            (places.region, "category"),
            (places.town, "category"),
            (places.code, "identifier"),
            (places.address, "identifier"),
        ]
        lists: list[tuple[Sequence[GeneratedColumn], Kind]] = [
            (self.numbers, "number"),
            (self.choices, "category"),
            (self.days, "date"),
            (self.identifiers, "identifier"),
        ]
        return located + [(each.column, kind) for columns, kind in lists for each in columns]

    @property
    def shares(self) -> dict[str, dict[str, float]]:
        """The shares of each category whose values are declared: the regions and the choices."""
        regions = {region.name: region.share for region in self.places.regions}
        return {self.places.region: regions, **{each.column: each.shares for each in self.choices}}

    def in_epoch(self, epoch: int) -> Self:
        """This generator with the shares and the medians of an epoch."""
        regions = self.market.shares(epoch, self.places.region, self.shares[self.places.region])
        places = {"regions": [each.model_copy(update={"share": regions[each.name]}) for each in self.places.regions]}
        choices = [
            each.model_copy(update={"shares": self.market.shares(epoch, each.column, each.shares)})
            for each in self.choices
        ]
        numbers = [
            each.model_copy(update={"median": self.market.median(epoch, each.column, each.median)})
            for each in self.numbers
        ]
        update = {"places": self.places.model_copy(update=places), "choices": choices, "numbers": numbers}
        return self.model_copy(update=update)


def parse_generator(dataset: Dataset) -> Generator:
    """The generator of a dataset.

    Raises:
        Stop: the dataset has none, or it is not valid. The message has a line for each fault.
    """
    if not dataset.generator:
        raise Stop(f"{dataset.name} has no [generator]: pass its rows with CSV=file or API_URL=address")
    try:
        generator = Generator.model_validate(dataset.generator)
    except ValidationError as error:
        faults = structure_faults(Generator, dataset.generator, error.errors(), section=("generator",))
        raise Stop("\n".join(faults)) from error
    if faults := list(_faults(generator, dataset)):
        raise Stop("\n".join(faults))
    return generator


def _faults(generator: Generator, dataset: Dataset) -> Iterator[str]:
    yield from _column_faults(generator, dataset)
    yield from _range_faults(generator)
    yield from _share_faults(generator)
    yield from _order_faults(generator)
    yield from _time_faults(generator, dataset) if generator.time else _batch_faults(generator, dataset)
    declared = Declared(generator.shares, [each.column for each in generator.numbers], generator.places.region)
    yield from market_faults(generator.market, dataset.generator, declared, dataset.source)


def _column_faults(generator: Generator, dataset: Dataset) -> Iterator[str]:
    names = [name for name, _ in generator.columns]
    if generator.time and dataset.market:
        names.append(dataset.market.time)
    yield from unknown("[generator]", names, dataset.names)
    yield from (f"[generator] {name} is generated twice: remove one" for name in repeated(names))
    yield from (f"[generator] {c.name} is not generated: add it" for c in dataset.inputs if c.name not in names)
    for name, kind in generator.columns:
        column = dataset.by_name.get(name)
        if name == dataset.target:
            yield f"[generator] {name} is the target, which [generator.target] generates: remove it"
        elif column and column.kind != kind:
            yield f"[generator] {name} is generated as {kind}, and its kind is {column.kind}: use the same"


def _range_faults(generator: Generator) -> Iterator[str]:
    places = generator.places
    ranges: list[tuple[str, Any, Any]] = [("[generator.places] addresses", *places.addresses)]
    ranges += [(f"[[generator.places.regions]] {each.name}: codes", *each.codes) for each in places.regions]
    ranges += [
        (f"[[generator.numbers]] {each.column}: least, most", each.least, each.most) for each in generator.numbers
    ]
    ranges += [(f"[[generator.days]] {each.column}: first, last", each.first, each.last) for each in generator.days]
    ranges += [
        (f"[[generator.identifiers]] {each.column}: first, last", each.first, each.last)
        for each in generator.identifiers
    ]
    yield from (f"{where} = {low}, {high}: use the lower one first" for where, low, high in ranges if low > high)


def _share_faults(generator: Generator) -> Iterator[str]:
    """Shares are weights, so that their sum may be any number above 0."""
    shares = {"[[generator.places.regions]]": {each.name: each.share for each in generator.places.regions}}
    shares |= {f"[[generator.choices]] {each.column}": each.shares for each in generator.choices}
    for where, weights in shares.items():
        if not sum(weights.values()) > 0:
            yield f"{where}: the sum of the shares is 0: use shares above 0"
    yield from (
        f"[[generator.places.regions]] {name} is there twice: remove one"
        for name in repeated(region.name for region in generator.places.regions)
    )


def _order_faults(generator: Generator) -> Iterator[str]:
    """A number is computed from those declared before it, and the target from all of them."""
    declared: list[str] = []
    for number in generator.numbers:
        yield from _unknown_factors(f"[[generator.numbers]] {number.column}", number.follows, declared)
        declared.append(number.column)
    yield from _unknown_factors("[generator.target]", generator.target.follows, declared)


def _unknown_factors(where: str, follows: Iterable[str], declared: Sequence[str]) -> Iterator[str]:
    wrong = (name for name in follows if name not in declared)
    return (f"{where} follows {name}, which is no number declared before it" for name in wrong)


def _time_faults(generator: Generator, dataset: Dataset) -> Iterator[str]:
    """Each batch is a month then, so nothing else divides the rows."""
    if not dataset.market:
        yield "[generator.time] has dates of sale, and no column is for them: add [market] time"
    if generator.batches:
        yield "[generator.time] and [[generator.batches]] both declare the batches: use batches = []"
    if dataset.source:
        yield "[generator.time] and [[source]] both divide the rows into batches: use source = []"


def _batch_faults(generator: Generator, dataset: Dataset) -> Iterator[str]:
    rules = {rule.place: rule for rule in dataset.source}
    if not generator.batches:
        yield "[[generator.batches]] is empty: declare each batch"
    yield from (
        f"[[generator.batches]] place = {place} is there twice: remove one"
        for place in repeated(batch.place for batch in generator.batches)
    )
    regions = [region.name for region in generator.places.regions if region.share > 0]
    for batch in generator.batches:
        where = f"[[generator.batches]] place {batch.place}"
        if not batch.least < batch.mean < batch.most:
            seen = f"least, mean, most = {batch.least:g}, {batch.mean:g}, {batch.most:g}"
            yield f"{where}: {seen}: use an ascending order"
        if not rules:
            continue
        if not (rule := rules.get(batch.place)):
            yield f"{where} has no [[source]] rule: add one"
            continue
        for condition in rule.where:
            if condition.column == generator.places.region and condition.equals not in (None, *regions):
                yield f"{where}: no region is {condition.equals}: {did_you_mean(condition.equals, regions)}"
