"""Generate the rows of an epoch. The same dataset file, scale, seed and epoch give the same rows.

Towns are drawn once, and properties for each epoch, each with a location and correlated numbers. A row is an offer of a
property, so properties may repeat within an epoch. Its raw target depends on location, numbers and date, and the first
matching rule selects its batch. Within a batch the raw targets are then mapped, in their order, to the declared
distribution. At last the market moves the targets: their order, and the distribution within its bounds (decision 58).

With [generator.time] a batch has the sales of a month instead, of any properties. The target is the raw one, moved by
the level of the day. So a property has the same price on that day whatever else is in the batch.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import numpy as np

from veleta.dataset import BatchRule, Condition, Dataset
from veleta.errors import Stop
from veleta.input.batch_assignment import Row
from veleta.planted_market import PlantedMarket
from veleta_source.domain.generator import BatchShape, NumberColumn, Places, parse_generator
from veleta_source.domain.market import FIRST_EPOCH

Columns = dict[str, np.ndarray]
"""By column: float64 for numbers and identifiers, text for categories, datetime64[D] for dates."""
BLOCK_ROWS = 50_000
"""How many rows are drawn at once."""
MAX_BLOCKS = 400
"""If a batch is not full after this many blocks, hardly any row matches its rule."""
MIN_PROPERTIES = 1_000
"""How many properties are drawn even at a small scale, so that each region has some."""
DAYS_PER_YEAR = 365.25


class RowGenerator:
    """Draws properties, and batches of their offers."""

    def __init__(self, dataset: Dataset, scale: float, seed: int, epoch: int = FIRST_EPOCH) -> None:
        """At `scale` 1 the batches have their declared size. Each has at least one row. Raises Stop."""
        self._dataset = dataset
        self._declared = parse_generator(dataset)
        self._generator = self._declared.in_epoch(epoch)
        self._scale = scale
        self._epoch = epoch
        self._random = np.random.default_rng(seed)
        rows = sum(map(self._row_count, self._generator.rows))
        self._count = max(MIN_PROPERTIES, round(rows / self._generator.offers))
        shares = np.array([region.share for region in self._declared.places.regions])
        self._town_counts = np.maximum(1, np.round(self._declared.places.towns * shares / shares.sum())).astype(int)
        sites = self._draw_sites(self._declared.places)
        self._town_levels, self._town_names = self._draw_towns()
        if epoch != FIRST_EPOCH:  # the towns stay, and what follows is independent of the epochs between
            self._random = np.random.default_rng((seed, epoch))
            sites = self._draw_sites(self._generator.places)
        self._properties, self._level = self._draw_properties(*sites)
        for number in self._generator.numbers:
            self._properties[number.column] = self._draw_number(number)

    def batches(self) -> Iterator[tuple[int, Iterator[Row]]]:
        """The place and the rows of each batch. Raises Stop if hardly any row matches a rule, or if no date is left."""
        if time := self._generator.time:
            for number in range(time.months):
                yield number, self._rows(self._draw_month(time, number))
        for batch in self._generator.batches:
            yield batch.place, self._rows(self._draw_batch(batch))

    def _row_count(self, rows: int) -> int:
        return max(1, round(rows * self._scale))

    def _draw_sites(self, places: Places) -> tuple[np.ndarray, np.ndarray]:
        """The region of each property, and which of its towns it is in, both by position."""
        shares = np.array([region.share for region in places.regions])
        region = self._random.choice(len(shares), size=self._count, p=shares / shares.sum())
        ranks = self._random.random(self._count) ** 3  # the first towns are the largest
        return region, (self._town_counts[region] * ranks).astype(int)

    def _draw_towns(self) -> tuple[np.ndarray, np.ndarray]:
        """The level of the targets of each town, and its name."""
        places, count = self._declared.places, self._town_counts.sum()
        levels = self._random.normal(0, places.town_spread, count)
        names = np.array([f"{p}{s}{e}" for p in places.prefixes for s in places.stems for e in places.endings])
        return levels, names[self._random.permutation(len(names))[np.arange(count) % len(names)]]

    def _draw_properties(self, region: np.ndarray, town: np.ndarray) -> tuple[Columns, np.ndarray]:
        """The location of each property, and the level of its target above the median (logarithm)."""
        places = self._declared.places
        first, last = (np.array([r.codes[i] for r in places.regions])[region] for i in (0, 1))
        code = first + (last - first) * town // self._town_counts[region]
        town_id = np.concatenate([[0], np.cumsum(self._town_counts)[:-1]])[region] + town
        level = np.array([r.level for r in places.regions])[region] + self._town_levels[town_id]
        columns = {
            places.region: np.array([r.name for r in places.regions])[region],
            places.town: self._town_names[town_id],
            places.code: code.astype(float),
            places.address: self._random.integers(*places.addresses, self._count, endpoint=True).astype(float),
        }
        return columns, level

    def _draw_number(self, number: NumberColumn) -> np.ndarray:
        logs = math.log(number.median) + self._random.normal(0, number.spread, self._count)
        logs += self._log_factors(number.follows, self._properties)
        return np.clip(_round_to_step(np.exp(logs), number.step), number.least, number.most)

    def _log_factors(self, exponents: Mapping[str, float], columns: Columns) -> np.ndarray | float:
        """The logarithm of the product of these numbers, relative to the declared medians. A 0 counts as one step."""
        numbers = {n.column: n for n in self._declared.numbers}
        terms = (
            exponent * np.log(np.maximum(columns[name], numbers[name].step) / numbers[name].median)
            for name, exponent in exponents.items()
        )
        return sum(terms, start=0.0)

    def _draw_batch(self, batch: BatchShape) -> Columns:
        count, target = self._row_count(batch.rows), self._dataset.target
        columns = self._draw_rows(batch.place, count)
        declared, levels = batch.targets(count)[_ranks(columns[target])], self._market_levels(columns)
        moved = batch.targets(count, levels.mean())[_ranks(declared * np.exp(levels))]
        columns[target] = np.clip(_round_to_step(moved, self._generator.target.step), batch.least, batch.most)
        return columns

    def _draw_month(self, time: PlantedMarket, number: int) -> Columns:
        """The sales of a month. The parsed generator has made sure that the dataset has a market."""
        assert self._dataset.market  # noqa: S101 - see above
        try:
            first, after = time.month(self._epoch, number)
        except OverflowError:
            raise Stop(f"[generator.time] has no date left for epoch {self._epoch}") from None
        columns, target = self._draw_rows(number, self._row_count(time.rows)), self._dataset.target
        day = self._random.integers(0, (after - first).days, len(columns[target]))
        planted = np.array([time.level(first + timedelta(each)) for each in range((after - first).days)])
        moved = columns[target] * np.exp(planted[day] + self._market_levels(columns))
        columns[target] = _round_to_step(moved, self._generator.target.step)
        columns[self._dataset.market.time] = np.datetime64(first) + day
        return columns

    def _draw_rows(self, place: int, count: int) -> Columns:
        """So many offers whose first matching rule is that of a place, with raw targets."""
        rules = self._dataset.source or [BatchRule(place=place, where=[])]
        rule = next(rule for rule in rules if rule.place == place)
        missing, blocks = count, list[Columns]()
        for _ in range(MAX_BLOCKS):
            offers = self._draw_offers(rule)
            matching = _first_matching_rule(rules, offers) == rule.place
            blocks.append({name: values[matching] for name, values in offers.items()})
            missing -= int(matching.sum())
            if missing <= 0:
                break
        else:
            rule_of = f"the [[source]] rule of place {place}"
            raise Stop(f"[generator] has hardly any row that matches {rule_of} in epoch {self._epoch}")
        return {name: np.concatenate([block[name] for block in blocks])[:count] for name in blocks[0]}

    def _market_levels(self, batch: Columns) -> np.ndarray:
        """How far the market has moved the target of each row since epoch 1 (logarithm)."""
        levels = np.zeros(len(batch[self._dataset.target]))
        for (column, value), level in self._generator.market.levels(self._epoch).items():
            levels += np.where(batch[column] == value, level, 0.0) if column else level
        return levels

    def _draw_offers(self, rule: BatchRule) -> Columns:
        """Offers of random properties. Categories that the rule fixes are not drawn."""
        random, fixed = self._random, {c.column: c.equals for c in rule.where if c.equals is not None}
        region = self._generator.places.region
        among = np.flatnonzero(self._properties[region] == fixed[region]) if region in fixed else np.arange(self._count)
        if not among.size:
            raise Stop(f"[generator] has no property where {region} is {fixed[region]}: SCALE= is too small")
        drawn = random.choice(among, BLOCK_ROWS)
        offers = {name: values[drawn] for name, values in self._properties.items()}
        for choice in self._generator.choices:
            shares = {fixed[choice.column]: 1.0} if choice.column in fixed else choice.shares
            weights = np.array(list(shares.values()))
            offers[choice.column] = random.choice(np.array(list(shares)), BLOCK_ROWS, p=weights / weights.sum())
        for identifier in self._generator.identifiers:
            integers = random.integers(identifier.first, identifier.last, BLOCK_ROWS, endpoint=True)
            offers[identifier.column] = integers.astype(float)
        logs = math.log(self._generator.target.median) + self._level[drawn]
        for days in self._generator.days:
            length = (days.last - days.first).days
            day = random.integers(0, length, BLOCK_ROWS, endpoint=True)
            offers[days.column] = np.datetime64(days.first) + day
            logs += days.growth_per_year * (day - length / 2) / DAYS_PER_YEAR
        logs += self._log_factors(self._generator.target.follows, offers)
        offers[self._dataset.target] = np.exp(logs + random.normal(0, self._generator.target.spread, BLOCK_ROWS))
        return offers

    def _rows(self, batch: Columns) -> Iterator[Row]:
        names = self._dataset.names
        columns = [batch[name].astype(str) if batch[name].dtype.kind == "M" else batch[name] for name in names]
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield dict(zip(names, row, strict=True))


def _first_matching_rule(rules: Sequence[BatchRule], offers: Columns) -> np.ndarray:
    """The place of the first rule that matches each row, -1 if none does."""
    places = np.full(BLOCK_ROWS, -1)
    for rule in reversed(rules):
        places[np.logical_and.reduce([_holds(c, offers[c.column]) for c in rule.where])] = rule.place
    return places


def _holds(condition: Condition, values: np.ndarray) -> np.ndarray:
    if condition.equals is not None:
        return np.asarray(values == condition.equals)
    above = -math.inf if condition.above is None else condition.above
    at_most = math.inf if condition.at_most is None else condition.at_most
    return np.asarray((values > above) & (values <= at_most))


def _ranks(values: np.ndarray) -> np.ndarray:
    """The position of each value in their ascending order."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def _round_to_step(values: np.ndarray, step: float) -> np.ndarray:
    """Round to multiples of `step`. The second rounding removes errors of binary fractions."""
    return np.round(np.round(values / step) * step, 6)
