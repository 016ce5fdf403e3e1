"""The section [generator] of a dataset file."""

import math
import tomllib
from datetime import date
from functools import reduce
from typing import Any

import numpy as np
import pytest

from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Stop
from veleta_source.domain.generator import BatchShape, parse_generator

DATASET = load_dataset("real_estate")


def changed(*path: Any, **values: Any) -> Dataset:
    """The dataset with other values of a table of [generator]; None removes a key."""
    generator = tomllib.loads(DATASET.text)["generator"]
    table = reduce(lambda part, key: part[key], path, generator)
    table |= values
    for key in [key for key, value in values.items() if value is None]:
        del table[key]
    return DATASET.model_copy(update={"generator": generator})


BREAKS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {"offers": 0}, "[generator] offers = 0: use a number above 0"),
    ((), {"ofers": 1}, "[generator] ofers is no key: did you mean offers?"),
    ((), {"batches": []}, "[[generator.batches]] is empty: declare each batch"),
    ((), {"days": []}, "[generator] prev_sold_date is not generated: add it"),
    (("places",), {"town_spread": None}, "[generator.places] town_spread is missing: use a number from 0"),
    (("places",), {"towns": 0}, "[generator.places] towns = 0: use a whole number from 1 up to 1,000,000"),
    (("places",), {"stems": []}, "[generator.places] stems = []: use a list of texts"),
    (("places",), {"town": "cty"}, "[generator] cty is no column: did you mean city?"),
    (("places",), {"town": "bed"}, "[generator] bed is generated twice: remove one"),
    (("places",), {"town": "price"}, "[generator] price is the target, which [generator.target] generates: remove it"),
    (("places",), {"town": "bed"}, "[generator] bed is generated as category, and its kind is number: use the same"),
    (("places",), {"addresses": [9, 1]}, "[generator.places] addresses = 9, 1: use the lower one first"),
    (("places", "regions", 4), {"share": -1}, "[[generator.places.regions]] California: share = -1: use a number"),
    (("places", "regions", 4), {"codes": [9, 1]}, "[[generator.places.regions]] California: codes = 9, 1: use the"),
    (("places", "regions", 4), {"name": "Texas"}, "[[generator.places.regions]] Texas is there twice: remove one"),
    (("places", "regions", 21), {"name": "Mass"}, "place 3: no region is Massachusetts: "),
    (("numbers", 0), {"step": 0}, "[[generator.numbers]] house_size: step = 0: use a number above 0"),
    (("numbers", 0), {"spread": -1}, "[[generator.numbers]] house_size: spread = -1: use a number from 0"),
    (("numbers", 0), {"least": 9, "most": 1}, "[[generator.numbers]] house_size: least, most = 9.0, 1.0: use the"),
    (("numbers", 0), {"most": math.inf}, "[[generator.numbers]] house_size: most = inf: use a finite number"),
    (("numbers", 0), {"follows": {"bed": 1}}, "[[generator.numbers]] house_size follows bed, which is no number"),
    (("choices", 0), {"shares": {"sold": 0}}, "[[generator.choices]] status: the sum of the shares is 0: use"),
    (("choices", 0), {"shares": {"sold": -1}}, "[generator.choices.shares] status: sold = -1: use a number from 0"),
    (("days", 0), {"first": date(2024, 1, 1)}, "prev_sold_date: first, last = 2024-01-01, 2023-12-31: use the lower"),
    (("days", 0), {"last": "2023-02-30"}, "[[generator.days]] prev_sold_date: last = '2023-02-30': use a date as"),
    (("identifiers", 0), {"first": 110_143}, "[[generator.identifiers]] brokered_by: first, last = 110143, 110142"),
    (("target",), {"median": -5}, "[generator.target] median = -5: use a number above 0"),
    (("target",), {"follows": {"city": 1.0}}, "[generator.target] follows city, which is no number declared before it"),
    (("batches", 0), {"place": 9}, "[[generator.batches]] place 9 has no [[source]] rule: add one"),
    (("batches", 0), {"place": 1}, "[[generator.batches]] place = 1 is there twice: remove one"),
    (
        ("batches", 0),
        {"rows": 0},
        "[[generator.batches]] place 0: rows = 0: use a whole number from 1 up to 10,000,000",
    ),
    (("batches", 0), {"mean": 1}, "[[generator.batches]] place 0: least, mean, most = 1, 1, 300000: use an ascending"),
]
"""A table of the section, its wrong values, and the line of the fault."""

SHOCK = {"epoch": 3, "level": 0.1}
MARKET_BREAKS: list[tuple[dict[str, Any], str]] = [
    ({"epoch": 1}, "[[generator.market.changes]] number 1: epoch = 1: use a whole number from 2 up to 999"),
    ({"levels": 1}, "[[generator.market.changes]] number 1: levels is no key: did you mean level?"),
    ({"level": math.inf}, "[[generator.market.changes]] number 1: level = inf: use a finite number"),
    ({"level": None}, "number 1 epoch 3: it has nothing to change: use one of level, trend, shares and median"),
    ({"median": 7}, "number 1 epoch 3: it has level and median: use one of level, trend, shares and median"),
    ({"epoch": 2}, "number 1 epoch 2: this epoch is quiet: use another one, or remove it from quiet"),
    ({"level": None, "trend": 0.1}, "number 1 epoch 3: trend = 0.1 has no end: add until, its last epoch"),
    ({"until": 4}, "number 1 epoch 3: until = 4 is the end of a trend: remove it"),
    ({"level": None, "trend": 0.1, "until": 2}, "number 1 epoch 3: until = 2: use a later epoch"),
    ({"column": "state"}, "[[generator.market.changes]] state epoch 3: column = 'state' needs a value: add value, or"),
    ({"value": "Texas"}, "number 1 epoch 3: column is missing: use state or status"),
    ({"column": "stat", "value": "Texas"}, "stat epoch 3: [generator] has no category stat: did you mean state?"),
    ({"column": "state", "value": "Texsa"}, "state epoch 3: no state is Texsa: did you mean Texas?"),
    ({"level": 1.1}, "[generator.market] epoch 3: levels and trends add up to more than 1: use smaller ones, or some"),
    ({"level": None, "shares": {"sold": 1}}, "number 1 epoch 3: column is missing: use state or status"),
    ({"level": None, "column": "status", "shares": {"sol": 1}}, "epoch 3: no status is sol: did you mean sold?"),
    (
        {"level": None, "column": "status", "shares": {"sold": 0, "for_sale": 0}},
        "[generator.market] epoch 3: the sum of the shares of status is 0: use shares above 0",
    ),
    (
        {"level": None, "column": "state", "shares": {"Massachusetts": 0}},
        "[generator.market] epoch 3: Massachusetts has no share, and [[source]] place 3 needs it: use one above 0",
    ),
    (
        {"level": None, "column": "status", "value": "sold", "shares": {"sold": 1}},
        "status epoch 3: value = 'sold' is for a level or a trend: remove it",
    ),
    ({"level": None, "median": 7}, "number 1 epoch 3: column is missing: use house_size, bed, bath or acre_lot"),
    ({"level": None, "column": "beds", "median": 7}, "epoch 3: [generator] has no number beds: did you mean bed?"),
    ({"level": None, "column": "bed", "median": 0}, "[[generator.market.changes]] bed: median = 0: use a number above"),
]
"""What differs from a valid change, None for a key that is not there, and the line of the fault."""


@pytest.mark.failure("F201")
@pytest.mark.parametrize(("path", "values", "message"), BREAKS, ids=[message for *_, message in BREAKS])
def test_each_way_to_break_the_section_has_its_line(
    path: tuple[Any, ...], values: dict[str, Any], message: str
) -> None:
    """With the table, what was seen and what is valid."""
    with pytest.raises(Stop) as caught:
        parse_generator(changed(*path, **values))
    assert any(message in line for line in str(caught.value).splitlines()), str(caught.value)


TIME = {"start": date(2024, 1, 1), "rows": 500}
TIME_BREAKS: list[tuple[dict[str, Any], str]] = [
    ({"start": None}, "[generator.time] start is missing: use a date"),
    ({"start": "2024-13-01"}, "[generator.time] start = '2024-13-01': use a date"),
    ({"rows": 0}, "[generator.time] rows = 0: use a whole number from 1 up to 10,000,000"),
    ({"months": 0}, "[generator.time] months = 0: use a whole number from 1 up to 120"),
    ({"monthly": 1}, "[generator.time] monthly = 1: use a number from -0.2 up to 0.2"),
    ({"season": math.nan}, "[generator.time] season = nan: use a number from -0.5 up to 0.5"),
    ({"seasons": 0.1}, "[generator.time] seasons is no key: did you mean season?"),
    (
        {"jumps": [{"on": date(2024, 5, 1)}]},
        "[[generator.time.jumps]] number 1: level is missing: use a number from -1",
    ),
    ({"jumps": [{"on": 5, "level": 0.1}]}, "[[generator.time.jumps]] number 1: on = 5: use a date"),
]
"""What differs from a valid section, None for a key that is not there, and the line of the fault."""


@pytest.mark.failure("F201")
@pytest.mark.parametrize(("values", "message"), TIME_BREAKS, ids=[message for _, message in TIME_BREAKS])
def test_each_way_to_break_the_dates_of_sale_has_its_line(values: dict[str, Any], message: str) -> None:
    """Without the fault they are valid."""
    sales = load_dataset("sales")
    for each in (TIME, {key: value for key, value in {**TIME, **values}.items() if value is not None}):
        dataset = sales.model_copy(update={"generator": {**sales.generator, "time": each}})
        if each is TIME:
            parse_generator(dataset)
            continue
        with pytest.raises(Stop) as caught:
            parse_generator(dataset)
        assert any(message in line for line in str(caught.value).splitlines()), str(caught.value)


@pytest.mark.failure("F201")
def test_dates_of_sale_need_a_market_and_divide_the_rows() -> None:
    """So nothing else may."""
    with pytest.raises(Stop) as caught:
        parse_generator(changed(time=TIME))
    assert str(caught.value).splitlines() == [
        "[generator.time] has dates of sale, and no column is for them: add [market] time",
        "[generator.time] and [[generator.batches]] both declare the batches: use batches = []",
        "[generator.time] and [[source]] both divide the rows into batches: use source = []",
    ]


def test_the_summary_has_the_path_of_the_prices() -> None:
    """And the epochs that change otherwise, if there are some."""
    sales, changes = load_dataset("sales"), {"market": {"changes": [SHOCK]}, "time": {**TIME, "monthly": 0.01}}
    shocked = sales.model_copy(update={"generator": {**sales.generator, **changes}})
    path = "each batch has the sales of a month, from 2024-01; prices change by +1.0% a month"
    assert parse_generator(shocked).summary() == f"{path}; its market changes in epoch 3"
    assert parse_generator(sales).summary().startswith(path.replace("1.0", "0.8"))


@pytest.mark.failure("F201")
@pytest.mark.parametrize(("values", "message"), MARKET_BREAKS, ids=[message for _, message in MARKET_BREAKS])
def test_each_way_to_break_a_change_of_the_market_has_its_line(values: dict[str, Any], message: str) -> None:
    """With the epoch, what was seen and what is valid. Without the fault the change is valid."""
    parse_generator(changed(market={"quiet": [2], "changes": [SHOCK]}))
    broken = {key: value for key, value in {**SHOCK, **values}.items() if value is not None}
    with pytest.raises(Stop) as caught:
        parse_generator(changed(market={"quiet": [2], "changes": [broken]}))
    assert any(message in line for line in str(caught.value).splitlines()), str(caught.value)


def test_all_faults_of_the_section_are_found_at_once() -> None:
    """In the order of the section."""
    broken = changed("places", "regions", 4, codes=[9, 1]).generator
    broken["days"][0]["first"] = date(2024, 1, 1)
    broken["choices"][0]["shares"] = {"sold": 0}
    with pytest.raises(Stop) as caught:
        parse_generator(DATASET.model_copy(update={"generator": broken}))
    assert len(str(caught.value).splitlines()) == 3


def test_a_dataset_without_a_generator_needs_another_input() -> None:
    """The message shows which."""
    plain = parse_dataset(DATASET.text.partition("\n[generator]")[0])
    with pytest.raises(Stop, match=r"real_estate has no \[generator\]: pass its rows with CSV=file or API_URL=address"):
        parse_generator(plain)


def test_a_dataset_without_rules_of_batches_has_generated_ones_too() -> None:
    """As the rows of a file, which is divided into equal parts."""
    assert len(parse_generator(DATASET.model_copy(update={"source": []})).batches) == 6


@pytest.mark.parametrize("shape", parse_generator(DATASET).batches, ids=lambda shape: f"place {shape.place}")
def test_a_level_moves_the_targets_of_a_batch_within_its_bounds(shape: BatchShape) -> None:
    """By their mean logarithm, as far as there is room."""
    declared = np.log(shape.targets(5_000)).mean()
    for level in (-0.2, 0.05, 0.1, 1.0, -1.0):
        targets = shape.targets(5_000, level)
        assert (np.diff(targets) >= 0).all()
        assert shape.least <= targets[0] <= targets[-1] <= shape.most
        if abs(level) < 1:
            assert np.log(targets).mean() - declared == pytest.approx(level, abs=0.002)
