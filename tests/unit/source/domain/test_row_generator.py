"""Generated rows: they must be like the real ones in what the loop depends on."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from veleta.cleaning import rejection
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Stop
from veleta_source.domain.generator import parse_generator
from veleta_source.domain.row_generator import RowGenerator

DATASET = load_dataset("real_estate")
PLACES = parse_generator(DATASET).places
SCALE, SEED = 0.02, 1
REAL = {
    0: (73_784, 219_186),
    1: (94_551, 179_512),
    2: (230_366, 196_747),
    3: (4_055, 236_810),
    4: (320_696, 397_339),
    5: (361_457, 1_134_678),
}
"""By place: rows at scale 1 and the mean price in USD of the real batches (docs/data-api.md)."""
Batches = dict[int, list[dict[str, Any]]]


def generate(scale: float = SCALE, seed: int = SEED, dataset: Dataset = DATASET) -> Batches:
    """Rows by place."""
    return {place: list(rows) for place, rows in RowGenerator(dataset, scale, seed).batches()}


@pytest.fixture(scope="module")
def batches() -> Batches:
    return generate()


def column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def test_batches_have_the_sizes_and_means_of_the_real_ones(batches: Batches) -> None:
    """At a fiftieth of their size. The tail of the last one is short at that scale."""
    assert {place: len(rows) for place, rows in batches.items()} == {p: round(SCALE * n) for p, (n, _) in REAL.items()}
    for place, rows in batches.items():
        assert column(rows, DATASET.target).mean() == pytest.approx(REAL[place][1], rel=0.03)


def test_every_row_matches_the_rule_of_its_batch(batches: Batches) -> None:
    """It is the first matching rule, and all values fit their columns."""
    for place, rows in batches.items():
        for row in rows:
            values, rest = DATASET.convert(row)
            first = next(rule.place for rule in DATASET.source if all(c.holds(values) for c in rule.where))
            assert (first, rest) == (place, {})
            assert list(row) == DATASET.names


def test_nearly_all_rows_are_clean(batches: Batches) -> None:
    """Like the real ones, some have prices or sizes outside the bounds."""
    rows = [row for batch in batches.values() for row in batch]
    unclean = sum(bool(rejection(DATASET, DATASET.convert(row)[0])) for row in rows)
    assert 0 < unclean < 0.02 * len(rows)


def test_the_same_seed_gives_the_same_rows(batches: Batches) -> None:
    """Another seed gives other rows."""
    assert generate() == batches
    assert generate(seed=2)[0] != batches[0]


def test_locations_are_consistent(batches: Batches) -> None:
    """A code is in the range of its region, and most regions occur."""
    codes = {region.name: region.codes for region in PLACES.regions}
    for row in batches[5]:
        first, last = codes[row[PLACES.region]]
        assert first <= row[PLACES.code] <= last
    assert len(set(column(batches[5], PLACES.region))) > 40


def test_properties_are_offered_again(batches: Batches) -> None:
    """With the same numbers, and with another target."""
    rows = [row for batch in batches.values() for row in batch]
    offered = Counter(tuple(row[name] for name in DATASET.identity) for row in rows)
    assert max(offered.values()) > 2
    number = parse_generator(DATASET).numbers[0].column
    often = offered.most_common(1)[0][0]
    again = [row for row in rows if tuple(row[name] for name in DATASET.identity) == often]
    assert len({row[number] for row in again}) == 1
    assert len({row[DATASET.target] for row in again}) > 1


def test_the_target_depends_on_the_other_columns(batches: Batches) -> None:
    """A linear model of the numbers and the level of the region predicts the order of the targets in a batch.

    The correlation is lowest where the targets are close together (place 4).
    """
    level = {region.name: region.level for region in PLACES.regions}
    for place, least in ((2, 0.5), (4, 0.3), (5, 0.5)):
        rows = batches[place]
        numbers = [np.log(np.maximum(column(rows, n.column), 0.01)) for n in parse_generator(DATASET).numbers]
        levels = np.array([level[row[PLACES.region]] for row in rows])
        inputs = np.column_stack([*numbers, levels, np.ones(len(rows))])
        ranks = np.argsort(np.argsort(column(rows, DATASET.target))) / len(rows)
        fitted = inputs @ np.linalg.lstsq(inputs, ranks, rcond=None)[0]
        assert np.corrcoef(fitted, ranks)[0, 1] > least


def test_each_batch_drifts_from_the_one_before(batches: Batches) -> None:
    """The mean of a compared column changes by more than 15 %, as with the real ones."""
    for before, after in pairwise(batches.values()):
        changes = [
            abs(column(after, name).mean() - column(before, name).mean()) / column(before, name).mean()
            for name in DATASET.drift_columns
        ]
        assert max(changes) > 0.15


def test_a_rule_that_hardly_any_row_matches_is_named() -> None:
    """Instead of drawing without end."""
    numbers = [{**number, "least": 10.0, "most": 10.0} for number in DATASET.generator["numbers"]]
    small = DATASET.model_copy(update={"generator": {**DATASET.generator, "numbers": numbers}})
    with pytest.raises(Stop, match=r"hardly any row that matches the .* rule of place 0"):
        generate(dataset=small)


def test_every_batch_has_a_row_at_any_scale() -> None:
    """Also at a very small one."""
    assert all(generate(scale=0.0001).values())
