"""Rows made by chance: their batches, and what must be true of them so that a loop on them shows something."""

import tomllib
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from veleta.cleaning import rejection
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Stop
from veleta_source.domain.generator import generator_of
from veleta_source.domain.market import Market

DATASET = load_dataset("real_estate")
PLACES = generator_of(DATASET).places
SCALE, SEED = 0.02, 1
STATED = {
    0: (73_784, 219_186),
    1: (94_551, 179_512),
    2: (230_366, 196_747),
    3: (4_055, 236_810),
    4: (320_696, 397_339),
    5: (361_457, 1_134_678),
}
"""By place: rows at scale 1 and the mean price in USD of the real batches (docs/data-api.md)."""
Batches = dict[int, list[dict[str, Any]]]


def batches(scale: float = SCALE, seed: int = SEED, dataset: Dataset = DATASET) -> Batches:
    """By place."""
    return {place: list(rows) for place, rows in Market(dataset, scale, seed).batches()}


@pytest.fixture(scope="module")
def made() -> Batches:
    return batches()


def column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def test_the_batches_have_the_sizes_and_the_means_of_the_real_ones(made: Batches) -> None:
    """At a fiftieth of their size; the tail of the last one is short at that scale."""
    assert {place: len(rows) for place, rows in made.items()} == {p: round(SCALE * n) for p, (n, _) in STATED.items()}
    for place, rows in made.items():
        assert column(rows, DATASET.target).mean() == pytest.approx(STATED[place][1], rel=0.03)


def test_every_row_is_one_that_its_rule_takes(made: Batches) -> None:
    """The first rule that fits is the batch's own; nothing of a row is left over."""
    for place, rows in made.items():
        for row in rows:
            values, rest = DATASET.convert(row)
            first = next(rule.place for rule in DATASET.source if all(c.holds(values) for c in rule.where))
            assert (first, rest) == (place, {})
            assert list(row) == DATASET.names


def test_nearly_all_rows_are_clean(made: Batches) -> None:
    """As with the real ones, some prices and sizes lie outside the bounds."""
    rows = [row for batch in made.values() for row in batch]
    unclean = sum(bool(rejection(DATASET, DATASET.convert(row)[0])) for row in rows)
    assert 0 < unclean < 0.02 * len(rows)


def test_the_same_seed_gives_the_same_rows(made: Batches) -> None:
    """Another seed others."""
    assert batches() == made
    assert batches(seed=2)[0] != made[0]


def test_places_belong_together(made: Batches) -> None:
    """A code lies in its region's range, and a code of a town is of one region."""
    codes = {region.name: region.codes for region in PLACES.regions}
    for row in made[5]:
        first, last = codes[row[PLACES.region]]
        assert first <= row[PLACES.code] <= last
    assert len(set(column(made[5], PLACES.region))) > 40


def test_properties_come_again(made: Batches) -> None:
    """With the same numbers, and another target."""
    rows = [row for batch in made.values() for row in batch]
    offered = Counter(tuple(row[name] for name in DATASET.identity) for row in rows)
    assert max(offered.values()) > 2
    number = generator_of(DATASET).numbers[0].column
    often = offered.most_common(1)[0][0]
    again = [row for row in rows if tuple(row[name] for name in DATASET.identity) == often]
    assert len({row[number] for row in again}) == 1
    assert len({row[DATASET.target] for row in again}) > 1


def test_the_target_follows_what_the_rows_say(made: Batches) -> None:
    """A straight line through a row's numbers and its region's level tells the order of targets, within a batch too.

    Least so where they lie close together (place 4).
    """
    level = {region.name: region.level for region in PLACES.regions}
    for place, least in ((2, 0.5), (4, 0.3), (5, 0.5)):
        rows = made[place]
        numbers = [np.log(np.maximum(column(rows, n.column), 0.01)) for n in generator_of(DATASET).numbers]
        levels = np.array([level[row[PLACES.region]] for row in rows])
        inputs = np.column_stack([*numbers, levels, np.ones(len(rows))])
        ranks = np.argsort(np.argsort(column(rows, DATASET.target))) / len(rows)
        fitted = inputs @ np.linalg.lstsq(inputs, ranks, rcond=None)[0]
        assert np.corrcoef(fitted, ranks)[0, 1] > least


def test_each_batch_drifts_from_the_one_before(made: Batches) -> None:
    """By the seed's rule: some statistic of a compared column changes by more than 15 %, as with the real ones."""
    for before, after in pairwise(made.values()):
        changes = [
            abs(column(after, name).mean() - column(before, name).mean()) / column(before, name).mean()
            for name in DATASET.drift_columns
        ]
        assert max(changes) > 0.15


def without(*keys: str) -> Dataset:
    """The dataset with a part of [generator] left out."""
    generator = tomllib.loads(DATASET.text)["generator"]
    *path, last = keys
    part = generator
    for key in path:
        part = part[key]
    del part[last]
    return DATASET.model_copy(update={"generator": generator})


def test_a_dataset_without_a_generator_says_so() -> None:
    """And what to give instead."""
    plain = parse_dataset(DATASET.text.partition("\n[generator]")[0])
    with pytest.raises(Stop, match=r"no CSV was given, and .* has no \[generator\]"):
        Market(plain, SCALE, SEED)


def test_what_is_wrong_in_the_section_is_named() -> None:
    """A missing key, and a column that nobody makes."""
    with pytest.raises(Stop, match=r"places\.town_spread: Field required"):
        generator_of(without("places", "town_spread"))
    with pytest.raises(Stop, match="must make each column but the target once; look at: prev_sold_date"):
        generator_of(DATASET.model_copy(update={"generator": {**DATASET.generator, "days": []}}))


def test_a_rule_that_hardly_any_row_fits_is_named() -> None:
    """Rather than drawing for ever."""
    numbers = [{**number, "least": 10.0, "most": 10.0} for number in DATASET.generator["numbers"]]
    small = DATASET.model_copy(update={"generator": {**DATASET.generator, "numbers": numbers}})
    with pytest.raises(Stop, match=r"hardly any row that the .* rule of place 0 takes"):
        batches(dataset=small)


def test_every_batch_has_a_row_at_any_scale() -> None:
    """However small."""
    assert all(batches(scale=0.0001).values())
