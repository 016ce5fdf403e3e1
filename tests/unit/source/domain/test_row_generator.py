"""Generated rows: they must be like the real ones in what the loop depends on."""

from collections import Counter
from datetime import date
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest

from veleta.cleaning import rejection
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Stop
from veleta.planted_market import PlantedMarket
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
DIGEST = "db7b3bc055a53f6eaa34be48df40eb04a2480420bd73bb90ffbb1d1feea7d7d4"
"""Of the rows at scale 0.001 with the seed 5, by the code before the epochs differed."""
REGION, ANOTHER = "Florida", "California"
Batches = dict[int, list[dict[str, Any]]]


def generate(scale: float = SCALE, seed: int = SEED, dataset: Dataset = DATASET, epoch: int = 1) -> Batches:
    """Rows by place."""
    return {place: list(rows) for place, rows in RowGenerator(dataset, scale, seed, epoch).batches()}


def moving(*changes: dict[str, Any]) -> Dataset:
    """The dataset with another market."""
    return DATASET.model_copy(update={"generator": {**DATASET.generator, "market": {"changes": [*changes]}}})


def joined(batches: Batches) -> list[dict[str, Any]]:
    """The rows of all batches."""
    return [row for rows in batches.values() for row in rows]


@pytest.fixture(scope="module")
def batches() -> Batches:
    return generate()


@pytest.fixture(scope="module")
def quiet() -> Batches:
    """Those of epoch 2 in a market that never changes."""
    return generate(dataset=moving(), epoch=2)


def column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def moved(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> np.ndarray:
    """How far the target of each row has moved (logarithm)."""
    return np.asarray(np.log(column(after, DATASET.target) / column(before, DATASET.target)))


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


def test_without_rules_any_row_may_be_in_a_batch() -> None:
    """The declared sizes and means are those of the batch all the same."""
    generated = generate(0.001, dataset=DATASET.model_copy(update={"source": []}))
    assert {place: len(rows) for place, rows in generated.items()} == {0: 74, 1: 95, 2: 230, 3: 4, 4: 321, 5: 361}
    assert {row["status"] for row in generated[2]} == {"for_sale", "sold"}


def test_every_batch_has_a_row_at_any_scale() -> None:
    """Also at a very small one."""
    assert all(generate(scale=0.0001).values())


def test_epoch_1_has_the_rows_that_it_had_before_epochs_differed() -> None:
    """A run of an earlier version continues in the middle of its epoch."""
    lines = [orjson.dumps([place, row]) + b"\n" for place, rows in generate(0.001, 5).items() for row in rows]
    assert sha256(b"".join(lines)).hexdigest() == DIGEST


def test_an_epoch_has_the_same_rows_whatever_came_before(quiet: Batches) -> None:
    """A source that is restarted generates only the epoch that it needs."""
    assert generate(dataset=moving({"epoch": 3, "level": 0.1}), epoch=2) == quiet


def test_a_quiet_epoch_has_other_rows_of_the_same_market(batches: Batches, quiet: Batches) -> None:
    """Other properties in the same towns, with the same distributions."""
    properties = [{tuple(row[n] for n in DATASET.identity) for row in joined(each)} for each in (batches, quiet)]
    assert not properties[0] & properties[1]
    known = {(row[PLACES.code], row[PLACES.town]) for row in joined(batches)}
    assert np.mean([(row[PLACES.code], row[PLACES.town]) in known for row in joined(quiet)]) > 0.5
    for place, rows in quiet.items():
        assert len(rows) == len(batches[place])
        assert sorted(column(rows, DATASET.target)) == sorted(column(batches[place], DATASET.target))
        size = parse_generator(DATASET).numbers[0].column
        medians = [np.median(column(each[place], size)) for each in (batches, quiet)]
        assert medians[1] == pytest.approx(medians[0], rel=0.1)


def test_a_town_has_the_same_level_in_each_epoch(batches: Batches, quiet: Batches) -> None:
    """What a linear model of the numbers and the region does not explain is alike in both epochs."""
    level = {region.name: region.level for region in PLACES.regions}
    unexplained: list[dict[tuple[float, str], float]] = []
    for rows in map(joined, (batches, quiet)):
        numbers = [np.log(np.maximum(column(rows, n.column), 0.01)) for n in parse_generator(DATASET).numbers]
        levels = np.array([level[row[PLACES.region]] for row in rows])
        inputs = np.column_stack([*numbers, levels, np.ones(len(rows))])
        targets = np.log(column(rows, DATASET.target))
        rest = targets - inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0]
        by_town: dict[tuple[float, str], list[float]] = {}
        for row, value in zip(rows, rest, strict=True):
            by_town.setdefault((row[PLACES.code], row[PLACES.town]), []).append(value)
        unexplained.append({town: float(np.mean(values)) for town, values in by_town.items() if len(values) >= 10})
    both = sorted(unexplained[0].keys() & unexplained[1].keys())
    assert np.corrcoef([[each[town] for town in both] for each in unexplained])[0, 1] > 0.3


@pytest.mark.parametrize("level", [0.05, 0.1, -0.1])
def test_a_level_moves_the_targets_of_the_same_properties(quiet: Batches, level: float) -> None:
    """By this much on average, in each batch. All else stays."""
    for place, rows in generate(dataset=moving({"epoch": 2, "level": level}), epoch=2).items():
        assert moved(quiet[place], rows).mean() == pytest.approx(level, abs=0.002)
        assert [{**row, DATASET.target: 0} for row in rows] == [{**row, DATASET.target: 0} for row in quiet[place]]


def test_a_level_of_one_region_moves_its_targets_only(quiet: Batches) -> None:
    """Nearly: in a batch the targets have an order, so those of other regions move a little."""
    change = {"epoch": 2, "level": 0.1, "column": PLACES.region, "value": REGION}
    before, after = joined(quiet), joined(generate(dataset=moving(change), epoch=2))
    inside = column(before, PLACES.region) == REGION
    changes = moved(before, after)
    assert changes[inside].mean() == pytest.approx(0.1, abs=0.03)
    assert changes[~inside].mean() == pytest.approx(0, abs=0.01)


def test_targets_stay_in_their_batch_at_every_level() -> None:
    """Near the bounds they move by less."""
    test_every_row_matches_the_rule_of_its_batch(generate(dataset=moving({"epoch": 2, "level": 1.0}), epoch=2))


def test_a_change_of_the_mix_changes_what_is_offered(quiet: Batches) -> None:
    """More properties of a region, fewer of the others; smaller ones. The target of a given property stays."""
    shares = {"epoch": 2, "column": PLACES.region, "shares": {REGION: 21.0, ANOTHER: 5.0}}
    size = parse_generator(DATASET).numbers[0]
    smaller = {"epoch": 2, "column": size.column, "median": 0.8 * size.median}
    before, after = joined(quiet), joined(generate(dataset=moving(shares, smaller), epoch=2))
    of_region = [(column(rows, PLACES.region) == REGION).mean() for rows in (before, after)]
    of_another = [(column(rows, PLACES.region) == ANOTHER).mean() for rows in (before, after)]
    assert of_region[1] > 1.5 * of_region[0]
    assert of_another[1] < 0.7 * of_another[0]
    medians = [np.median(column(rows, size.column)) for rows in (before, after)]
    assert medians[1] < 0.92 * medians[0]


def test_a_choice_has_other_shares_after_a_change() -> None:
    """Where no rule fixes it."""
    choice = parse_generator(DATASET).choices[0]
    value = next(iter(choice.shares))
    change = {"epoch": 2, "column": choice.column, "shares": {name: 0.0 for name in choice.shares if name != value}}
    assert {row[choice.column] for row in generate(dataset=moving(change), epoch=2)[5]} == {value}


SALES = load_dataset("sales")


def sales(*, epoch: int = 1, market: dict[str, Any] | None = None, **time: Any) -> Batches:
    """Those of a dataset with dates of sale, whose prices change as these keys say and not otherwise."""
    section = {"start": date(2024, 1, 1), "months": 4, "rows": 60_000, **time}
    generator = {**SALES.generator, "time": section, "market": market or {}}
    return generate(0.005, dataset=SALES.model_copy(update={"generator": generator}), epoch=epoch)


def test_each_batch_has_the_sales_of_a_month() -> None:
    """They go on in the next epoch, and all values fit their columns."""
    batches = [rows for epoch in (1, 2) for rows in sales(epoch=epoch).values()]
    assert [len(rows) for rows in batches] == [300] * 8
    assert [{row["date"][:7] for row in rows} for rows in batches] == [{f"2024-0{month}"} for month in range(1, 9)]
    assert len({row["date"] for row in batches[0]}) > 25
    for row in batches[0]:
        values, rest = SALES.convert(row)
        assert (rest, list(row)) == ({}, SALES.names)
        assert rejection(SALES, values) is None


def test_the_prices_of_sales_follow_the_declared_path_by_date() -> None:
    """Each one exactly, apart from the rounding. All else stays, so nothing but the date explains the change."""
    path: dict[str, Any] = {"monthly": 0.02, "season": 0.05, "jumps": [{"on": date(2024, 3, 10), "level": -0.15}]}
    planted = PlantedMarket.model_validate({"start": date(2024, 1, 1), "rows": 1, **path})
    still, moving_prices = joined(sales()), joined(sales(**path))
    levels = [planted.level(date.fromisoformat(row["date"])) for row in still]
    assert moved(still, moving_prices) == pytest.approx(np.array(levels), abs=0.005)
    assert [{**row, DATASET.target: 0} for row in still] == [{**row, DATASET.target: 0} for row in moving_prices]


def test_a_change_of_an_epoch_moves_sales_too() -> None:
    """In addition to the path by date."""
    change = {"epoch": 2, "level": 0.1, "column": PLACES.region, "value": REGION}
    before, after = (joined(sales(epoch=2, market=market)) for market in ({}, {"changes": [change]}))
    inside = column(before, PLACES.region) == REGION
    assert moved(before, after)[inside] == pytest.approx(0.1, abs=0.005)
    assert moved(before, after)[~inside] == pytest.approx(0)


def test_sales_end_with_the_calendar() -> None:
    """The message names the epoch."""
    with pytest.raises(Stop, match=r"\[generator.time\] has no date left for epoch 99999"):
        sales(epoch=99_999)
