"""Rows by chance: the same dataset file, scale and seed give the same rows.

Properties are drawn once: a place, and numbers that go with each other. A row is an offer of a property, so some come
again. Its target follows from place, numbers and date; it goes to the batch whose rule is the first that fits. Within a
batch the targets are spread as declared, in the order of what follows from the properties.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from veleta.dataset import BatchRule, Condition, Dataset
from veleta.errors import Stop
from veleta_source.domain.generator import Number, Quota, generator_of
from veleta_source.domain.splitting import Row

Columns = dict[str, np.ndarray]
"""By column: float64 for numbers and identifiers, text for categories, datetime64[D] for dates."""
BLOCK = 50_000
"""Rows that are drawn at a time."""
MOST_BLOCKS = 400
"""A batch that is not full after so many has a rule that hardly any row fits."""
LEAST_PROPERTIES = 1_000
"""So many are drawn at any scale: each region has some."""
DAYS_PER_YEAR = 365.25


class Market:
    """All properties, and the offers of them that make up the batches."""

    def __init__(self, dataset: Dataset, scale: float, seed: int) -> None:
        """`scale` 1 gives each batch its whole size; at any scale it has one row at least. Raises Stop."""
        self._dataset = dataset
        self._generator = generator_of(dataset)
        self._scale = scale
        self._chance = np.random.default_rng(seed)
        rows = sum(self.rows(quota) for quota in self._generator.batches)
        self._count = max(LEAST_PROPERTIES, round(rows / self._generator.offers))
        self._properties, self._level = self._places()
        for number in self._generator.numbers:
            self._properties[number.column] = self._number(number)

    def rows(self, quota: Quota) -> int:
        """How many rows a batch has at this scale."""
        return max(1, round(quota.rows * self._scale))

    def batches(self) -> Iterator[tuple[int, Iterator[Row]]]:
        """The place of each batch, and its rows as the API sends them. Raises Stop when a rule fits hardly any row."""
        for quota in self._generator.batches:
            yield quota.place, self._records(self._batch(quota))

    def _places(self) -> tuple[Columns, np.ndarray]:
        """Where each property is, and how its target lies above the median (logarithm) for that."""
        places, chance, count = self._generator.places, self._chance, self._count
        shares = np.array([region.share for region in places.regions])
        region = chance.choice(len(shares), size=count, p=shares / shares.sum())
        towns = np.maximum(1, np.round(places.towns * shares / shares.sum())).astype(int)
        town = (towns[region] * chance.random(count) ** 3).astype(int)  # the first ones are large
        first, last = (np.array([r.codes[i] for r in places.regions])[region] for i in (0, 1))
        code = first + (last - first) * town // towns[region]
        town_levels = chance.normal(0, places.town_spread, towns.sum())
        town_id = np.concatenate([[0], np.cumsum(towns)[:-1]])[region] + town
        names = np.array(places.names)
        level = np.array([r.level for r in places.regions])[region] + town_levels[town_id]
        columns = {
            places.region: np.array([r.name for r in places.regions])[region],
            places.town: names[chance.permutation(len(names))[town_id % len(names)]],
            places.code: code.astype(float),
            places.address: chance.integers(*places.addresses, count, endpoint=True).astype(float),
        }
        return columns, level

    def _number(self, number: Number) -> np.ndarray:
        logs = math.log(number.median) + self._chance.normal(0, number.spread, self._count)
        logs += self._following(number.follows, self._properties)
        return np.clip(_stepped(np.exp(logs), number.step), number.least, number.most)

    def _following(self, follows: Mapping[str, float], columns: Columns) -> np.ndarray | float:
        """What follows from other numbers, as a logarithm; one of 0 counts as its step."""
        numbers = {n.column: n for n in self._generator.numbers}
        terms = (
            power * np.log(np.maximum(columns[name], numbers[name].step) / numbers[name].median)
            for name, power in follows.items()
        )
        return sum(terms, start=0.0)

    def _batch(self, quota: Quota) -> Columns:
        rule = next(rule for rule in self._dataset.source if rule.place == quota.place)
        wanted, found = self.rows(quota), list[Columns]()
        for _ in range(MOST_BLOCKS):
            offers = self._offers(rule)
            fits = self._first_fit(offers) == rule.place
            found.append({name: values[fits] for name, values in offers.items()})
            wanted -= int(fits.sum())
            if wanted <= 0:
                break
        else:
            raise Stop(f"[generator] makes hardly any row that the [[source]] rule of place {quota.place} takes")
        batch = {name: np.concatenate([f[name] for f in found])[: self.rows(quota)] for name in found[0]}
        order = np.argsort(np.argsort(batch[self._dataset.target], kind="stable"), kind="stable")
        targets = quota.targets(self.rows(quota))[order]
        batch[self._dataset.target] = np.clip(_stepped(targets, self._generator.target.step), quota.least, quota.most)
        return batch

    def _offers(self, rule: BatchRule) -> Columns:
        """Offers of properties by chance; what the rule asks of a category is so from the beginning."""
        chance, fixed = self._chance, {c.column: c.equals for c in rule.where if c.equals is not None}
        region = self._generator.places.region
        among = np.flatnonzero(self._properties[region] == fixed[region]) if region in fixed else np.arange(self._count)
        if not among.size:
            raise Stop(f"[generator] has no property where {region} is {fixed[region]}: SCALE= is too small")
        which = chance.choice(among, BLOCK)
        offers = {name: values[which] for name, values in self._properties.items()}
        for choice in self._generator.choices:
            shares = {fixed[choice.column]: 1.0} if choice.column in fixed else choice.shares
            weights = np.array(list(shares.values()))
            offers[choice.column] = chance.choice(np.array(list(shares)), BLOCK, p=weights / weights.sum())
        for identifier in self._generator.identifiers:
            drawn = chance.integers(identifier.first, identifier.last, BLOCK, endpoint=True)
            offers[identifier.column] = drawn.astype(float)
        logs = math.log(self._generator.target.median) + self._level[which]
        for days in self._generator.days:
            length = (days.last - days.first).days
            day = chance.integers(0, length, BLOCK, endpoint=True)
            offers[days.column] = np.datetime64(days.first) + day
            logs += days.growth_per_year * (day - length / 2) / DAYS_PER_YEAR
        logs += self._following(self._generator.target.follows, offers)
        offers[self._dataset.target] = np.exp(logs + chance.normal(0, self._generator.target.spread, BLOCK))
        return offers

    def _first_fit(self, offers: Columns) -> np.ndarray:
        """The place of the first rule that fits each row, -1 where none does."""
        places = np.full(BLOCK, -1)
        for rule in reversed(self._dataset.source):
            places[np.logical_and.reduce([_holds(c, offers[c.column]) for c in rule.where])] = rule.place
        return places

    def _records(self, batch: Columns) -> Iterator[Row]:
        names = self._dataset.names
        columns = [batch[name].astype(str) if batch[name].dtype.kind == "M" else batch[name] for name in names]
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield dict(zip(names, row, strict=True))


def _holds(condition: Condition, values: np.ndarray) -> np.ndarray:
    if condition.equals is not None:
        return np.asarray(values == condition.equals)
    above = -math.inf if condition.above is None else condition.above
    at_most = math.inf if condition.at_most is None else condition.at_most
    return np.asarray((values > above) & (values <= at_most))


def _stepped(values: np.ndarray, step: float) -> np.ndarray:
    """To whole steps, without the dust of binary fractions."""
    return np.round(np.round(values / step) * step, 6)
