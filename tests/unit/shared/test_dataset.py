"""The dataset file: validation, and the conversion of rows."""

import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from veleta.dataset import (
    MAX_TEXT,
    BatchRule,
    Column,
    Condition,
    Dataset,
    datasets_with_gaps,
    load_dataset,
    parse_dataset,
)
from veleta.errors import Stop

SMALL = """
name = "cars"
title = "Cars"
target = "cost"
identity = ["plate"]
[[columns]]
name = "cost"
title = "Cost"
kind = "number"
[[columns]]
name = "plate"
title = "Plate"
kind = "category"
[[columns]]
name = "serial"
title = "Serial"
kind = "identifier"
[[columns]]
name = "built"
title = "Built"
kind = "date"
[cleaning]
cost = [1, 9]
[drift]
ignore = ["serial"]
[example]
cost = 2.0
plate = "A"
serial = 7.0
built = "2020-01-31"
"""


def test_any_file_can_be_a_dataset(tmp_path: Path) -> None:
    """By its path. No code contains the names of its columns."""
    path = tmp_path / "cars.toml"
    path.write_text(SMALL)
    cars = load_dataset(str(path))
    assert cars.names == ["cost", "plate", "serial", "built"]
    assert cars.drift_columns == ["cost"]
    assert [c.name for c in cars.inputs] == ["plate", "serial", "built"]


def test_the_digest_identifies_the_text() -> None:
    """Even another comment makes another version of the file. Recipes and reports name the version they used."""
    assert parse_dataset(SMALL).digest == parse_dataset(SMALL).digest
    assert parse_dataset(SMALL).digest != parse_dataset(SMALL + "# more\n").digest


def test_real_estate_has_the_columns_of_the_data_api() -> None:
    """Eight numbers and four texts. Drift compares six of them."""
    dataset = load_dataset("real_estate")
    assert len(dataset.names) == 12
    assert sum(c.numeric for c in dataset.columns) == 8
    assert dataset.drift_columns == ["brokered_by", "price", "bed", "bath", "acre_lot", "house_size"]


def test_the_example_is_a_complete_row() -> None:
    """It is the input example and the smoke check of each model, so each value must fit its column."""
    dataset = load_dataset("real_estate")
    values, rest = dataset.convert(dataset.example)
    assert rest == {}
    assert None not in values.values()


@pytest.fixture
def cars() -> Dataset:
    return parse_dataset(SMALL)


@pytest.mark.failure("F26")
@pytest.mark.parametrize(
    ("column", "value", "converted"),
    [
        ("cost", 3, 3.0),
        ("cost", 2.5, 2.5),
        ("cost", -0.0, 0.0),
        ("cost", 10**400, None),
        ("cost", "$1,200", 1200.0),
        ("cost", "POA", None),
        ("cost", "nan", None),
        ("cost", True, None),
        ("cost", False, None),
        ("cost", math.nan, None),
        ("cost", math.inf, None),
        ("cost", -math.inf, None),
        ("cost", [3], None),
        ("serial", 6016, 6016.0),
        ("serial", "06016.0", 6016.0),
        ("serial", "6016.5", None),
        ("plate", "ñ 🏠", "ñ 🏠"),
        ("plate", " A ", "A"),
        ("plate", " ", None),
        ("plate", "NaN", None),
        ("plate", "x" * MAX_TEXT, "x" * MAX_TEXT),
        ("plate", "x" * MAX_TEXT + " ", "x" * MAX_TEXT),
        ("plate", "x" * (MAX_TEXT + 1), None),
        ("plate", 3.0, None),
        ("plate", {"a": 1}, None),
        ("built", "1999-09-30", date(1999, 9, 30)),
        ("built", "2023-02-30", None),
        ("built", "1999-9-30", None),
        ("built", " 1999-09-30 ", date(1999, 9, 30)),
        ("built", "30.09.1999", None),
        ("built", 19990930, None),
    ],
)
def test_a_value_fits_its_column_or_goes_to_the_rest(cars: Dataset, column: str, value: Any, converted: object) -> None:
    """A value that does not fit is None in its column, and in the rest as it was received."""
    values, rest = cars.convert({**cars.example, column: value})
    assert values[column] == converted
    assert isinstance(values[column], type(converted))
    assert list(rest) == ([] if converted is not None else [column])


def test_the_decimal_mark_of_a_file_decides_between_two_meanings(cars: Dataset) -> None:
    """A source that knows the mark gives it to the column."""
    cost = cars.by_name["cost"]
    assert [cost.convert("1,234", mark) for mark in (".", ",", "")] == [1234.0, 1.234, None]
    assert cars.by_name["serial"].convert("1.234", ",") == 1234.0


@pytest.mark.failure("F26")
def test_unknown_keys_go_to_the_rest(cars: Dataset) -> None:
    """As they were received. The order of keys has no meaning."""
    row = {"colour": "red", **dict(reversed(cars.example.items())), "wheels": None, "doors": [1, {"a": "b"}]}
    values, rest = cars.convert(row)
    assert list(values) == cars.names
    assert rest == {"colour": "red", "doors": [1, {"a": "b"}]}


def test_a_missing_value_is_none_and_not_in_the_rest(cars: Dataset) -> None:
    """Null and a missing key are the same."""
    values, rest = cars.convert({"cost": None})
    assert values == dict.fromkeys(cars.names)
    assert rest == {}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"column": "cost", "above": 2.0}, False),
        ({"column": "cost", "above": 1.9}, True),
        ({"column": "cost", "at_most": 2.0}, True),
        ({"column": "cost", "at_most": 1.9}, False),
        ({"column": "plate", "equals": "A"}, True),
        ({"column": "plate", "equals": "a"}, False),
    ],
)
def test_a_condition_is_above_at_most_or_equals(cars: Dataset, condition: dict[str, Any], holds: bool) -> None:
    """`above` excludes its bound, `at_most` includes it, and text is compared with its case."""
    values, _ = cars.convert(cars.example)
    assert Condition.model_validate(condition).holds(values) is holds


def test_real_estate_has_rules_for_six_batches() -> None:
    """Each place from 0 to 5 once."""
    rules: list[BatchRule] = load_dataset("real_estate").source
    assert sorted(rule.place for rule in rules) == list(range(6))


def test_the_name_of_a_column_is_safe_in_sql() -> None:
    """Lower case letters, digits and underscores. With a statistic's name it still fits a column name of MySQL."""
    for name in ("Price", "a b", "a`b", "1a", "", "a" * 49):
        with pytest.raises(ValueError, match="pattern"):
            Column(name=name, title="x", kind="number")
    assert re.fullmatch(r"[a-z_0-9]+", Column(name="a" * 48, title="x", kind="number").name)


def test_batches_may_be_chosen_by_the_target() -> None:
    """Their number is that of the rules. Rules that name other columns, and no rules at all, choose none by it."""
    dataset = load_dataset("real_estate")
    assert dataset.batches_by_target == 6
    assert dataset.model_copy(update={"source": []}).batches_by_target == 0
    others = [rule for rule in dataset.source if all(each.column != dataset.target for each in rule.where)]
    assert dataset.model_copy(update={"source": others}).batches_by_target == 0


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (True, "true"),
        (False, "false"),
        (1, "true"),
        (0.0, "false"),
        ("Yes", "true"),
        (" n ", "false"),
        ("1.0", "true"),
        ("maybe", None),
        (2, None),
        (math.nan, None),
        ([], None),
    ],
)
def test_a_boolean_has_two_values(value: object, typed: str | None) -> None:
    """Whatever words or numbers a file has for them."""
    assert Column(name="heated", title="Heated", kind="boolean").convert(value) == typed


def test_an_example_has_a_boolean_as_json_has_it() -> None:
    """Whatever the file has for it."""
    text = SMALL.replace('title = "Plate"\nkind = "category"', 'title = "Plate"\nkind = "boolean"')
    for written in ("true", '"yes"', "1"):
        assert parse_dataset(text.replace('plate = "A"', f"plate = {written}")).example["plate"] is True


def test_a_date_is_read_as_its_column_declares_and_as_batches_have_it() -> None:
    """A batch has each date as 1999-09-30, whatever its file had."""
    day_first = Column(name="sold", title="Sold", kind="date", format="%d/%m/%Y")
    assert [day_first.convert(text) for text in ("4/02/2016", "2016-02-04", "02/13/2016")] == [
        date(2016, 2, 4),
        date(2016, 2, 4),
        None,
    ]


def test_texts_for_missing_values_are_declared_for_all_columns_or_for_one() -> None:
    """What is declared for a column replaces what is declared for all: so NA can be a category."""
    cars = parse_dataset(
        SMALL.replace('kind = "category"', 'kind = "category"\nmissing = []').replace(
            'target = "cost"', 'target = "cost"\nmissing = ["NA", "-"]'
        )
    )
    values, rest = cars.convert({"cost": " NA ", "plate": "NA", "serial": "-", "built": None})
    assert values == {"cost": None, "plate": "NA", "serial": None, "built": None}
    assert rest == {"cost": " NA ", "serial": "-"}


@pytest.mark.parametrize(("value", "typed"), [("-1", None), ("-1.0", None), (-1, None), (-1.0, None), ("1", 1.0)])
def test_a_number_can_mean_that_there_is_no_value(value: object, typed: float | None) -> None:
    """Whether a file has it as text, with decimals, or as a number."""
    assert Column(name="bed", title="Bed", kind="number", missing=["-1"]).convert(value) == typed


def test_a_file_may_extend_a_shipped_one() -> None:
    """Tables are merged key by key, and columns by their names. The text has all of it, so it can be stored."""
    listings, real_estate = load_dataset("listings"), load_dataset("real_estate")
    assert [c.name for c in listings.columns if not c.optional] == ["price", "city", "state", "zip_code"]
    required = [c.model_copy(update={"optional": False}) for c in listings.columns]
    assert required == real_estate.columns
    assert listings.training == real_estate.training
    assert (listings.drift.policy, listings.drift.ignore) == ("evidence", real_estate.drift.ignore)
    assert parse_dataset(listings.text) == listings


def test_the_datasets_that_also_take_rows_with_gaps_are_known() -> None:
    """By the name of the one that they extend."""
    assert [dataset.name for dataset in datasets_with_gaps("real_estate")] == ["listings"]
    assert datasets_with_gaps("listings") == []


def test_a_condition_does_not_hold_without_the_value() -> None:
    """The value of an optional column may be missing."""
    assert not Condition(column="bed", above=1).holds({"bed": None})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('extends = "real_estate"\ncolumns = 3', "columns = 3: use a list of tables"),
        ('extends = "real_estate"\ncolumns = ["bed"]', "columns"),
        ('extends = "real_estate"\n[[columns]]\nname = ["a"]', "name = ['a']: use 1 to 48 lower case letters"),
        ('extends = "real_estate"\n[columns]\nbed = 1', "columns"),
        ('extends = "real_estate"\n[source]\nplace = 1', "source"),
        ('extends = "real_estate"\n[[columns]]\nname = "pool"', "column pool: kind is missing"),
        (f'extends = "{"x" * 300}"', "there is no such dataset: use listings, real_estate or sales"),
        ("extends = 3", "extends = 3: there is no such dataset"),
    ],
)
def test_a_wrong_extension_has_its_line(text: str, fault: str, tmp_path: Path) -> None:
    """Its structure is checked as that of any dataset file."""
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(Stop) as refusal:
        load_dataset(str(tmp_path / "mine.toml"))
    assert any(line.startswith("mine.toml: ") and fault in line for line in str(refusal.value).splitlines())
