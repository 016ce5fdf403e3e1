"""The features of a row, and the holdout."""

import math
from datetime import date

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import Dataset, Value, Values, load_dataset, parse_dataset
from veleta.features import (
    HOLDOUT_PERCENT,
    Feature,
    Features,
    column_feature,
    date_of_feature,
    in_holdout,
    property_hash,
)

PROPERTIES = 10_000
ORDER = ["status", "bed", "bath", "acre_lot", "city", "state", "zip_code", "house_size", "prev_sold_date"]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("real_estate")


@pytest.fixture
def example(dataset: Dataset) -> Values:
    values, _ = dataset.convert(dataset.example)
    return values


def test_neither_the_target_nor_a_plain_identifier_is_a_feature(dataset: Dataset) -> None:
    """An identifier without a prefix has no information about the price."""
    assert Features(dataset).names[: len(ORDER)] == ORDER


def test_a_column_can_be_left_out_of_the_model(dataset: Dataset) -> None:
    """A text that identifies a thing, as a serial number, tells nothing about other things."""
    columns = [c.model_copy(update={"feature": "none"}) if c.name == "city" else c for c in dataset.columns]
    names = Features(dataset.model_copy(update={"columns": columns})).names
    assert names[: len(ORDER) - 1] == [name for name in ORDER if name != "city"]


def test_features_have_the_order_of_the_file(dataset: Dataset, example: Values) -> None:
    """Not that of the row: CatBoost accepts a list in a wrong order without an error."""
    features = Features(dataset)
    expected: list[Feature] = ["for_sale", 4.0, 2.0, 0.38, "East Windsor", "Connecticut", "060", 1617.0]
    assert features.of(example)[: len(expected)] == expected
    shuffled = dict(reversed(example.items()))
    assert features.of(shuffled) == features.of(example)


def test_categorical_features_are_listed_by_position(dataset: Dataset) -> None:
    """All text features, including the prefix of an identifier."""
    features = Features(dataset)
    assert [features.names[i] for i in features.categorical] == ["status", "city", "state", "zip_code", "place_county"]


@pytest.mark.parametrize(
    ("zip_code", "prefix"), [(6016.0, "060"), (731.0, "007"), (92101.0, "921"), (7.0, "000"), (None, "")]
)
def test_the_prefix_of_an_identifier_includes_leading_zeros(dataset: Dataset, zip_code: Value, prefix: str) -> None:
    """The API sends the number without them, but 06016 and 60160 are far apart."""
    assert column_feature(dataset.by_name["zip_code"], zip_code) == prefix


@pytest.mark.parametrize(
    ("day", "year"), [(date(1999, 1, 1), 1999 + 1 / 365.25), (date(2000, 12, 31), 2000 + 366 / 365.25)]
)
def test_a_date_is_a_year_with_a_fraction(dataset: Dataset, example: Values, day: date, year: float) -> None:
    """A later day is a greater number."""
    assert Features(dataset, ["prev_sold_date"]).of({**example, "prev_sold_date": day}) == [pytest.approx(year)]


def test_a_missing_value_is_nan_or_the_empty_text(dataset: Dataset) -> None:
    """CatBoost accepts NaN as a number, and only text as a category."""
    empty: Values = dict.fromkeys(dataset.names)
    row = Features(dataset).of(empty)
    texts = {i for i, value in enumerate(row) if value == ""}
    assert texts == set(Features(dataset).categorical)
    assert all(isinstance(v, float) and math.isnan(v) for i, v in enumerate(row) if i not in texts)


DERIVED = """
[[features]]
name = "weight_per_gear"
title = "Weight per gear"
divide = ["weight", "gears"]

[[features]]
name = "gears_per_weight"
title = "Gears per weight"
divide = ["gears", "weight"]

[[features]]
name = "both"
title = "Both"
add = ["gears", "weight"]

[training]
increasing = ["gears"]
"""


def of_bicycle(weight: Value, gears: Value) -> list[Feature]:
    """The derived features, and one column, of a row."""
    dataset = parse_dataset(BICYCLES.read_text() + DERIVED)
    row = {**dict.fromkeys(dataset.names), "weight": weight, "gears": gears}
    return Features(dataset, ["weight_per_gear", "both", "gears"]).of(row)


def test_features_are_derived_from_numbers_of_the_row() -> None:
    """A quotient and a sum. A model of other columns gets those that it has learnt, in its order."""
    assert of_bicycle(14.0, 7.0) == [2.0, 21.0, 7.0]


@pytest.mark.parametrize(("weight", "gears"), [(14.0, 0.0), (14.0, -1.0), (14.0, None), (None, 7.0)])
def test_a_derived_feature_of_nothing_is_missing(weight: Value, gears: Value) -> None:
    """There is no quotient of 0 or less, and no sum with a value that is missing."""
    quotient, total, _ = of_bicycle(weight, gears)
    assert isinstance(quotient, float)
    assert isinstance(total, float)
    assert math.isnan(quotient)
    assert math.isnan(total) is (None in (weight, gears))


def test_a_derived_feature_belongs_to_its_first_column() -> None:
    """An explanation adds its share to that of the column."""
    features = Features(parse_dataset(BICYCLES.read_text() + DERIVED)).infos[-3:]
    assert [each.column for each in features] == ["weight", "gears", "gears"]


def test_the_target_rises_with_a_column_in_all_its_features() -> None:
    """Otherwise the price could fall although the column rises. A divisor makes the quotient smaller."""
    infos = Features(parse_dataset(BICYCLES.read_text() + DERIVED)).infos
    trends = {each.name: each.trend for each in infos if each.trend}
    assert trends == {"gears": 1, "weight_per_gear": -1, "gears_per_weight": 1, "both": 1}


def test_the_place_of_a_row_is_known_by_its_zip_code(dataset: Dataset, example: Values) -> None:
    """With the zeros that the number lacks. Its features follow the others, and belong to the column of the key."""
    features = Features(dataset, ["place_county", "bed", "place_latitude"])
    county, bed, latitude = features.of({**example, "zip_code": 90210.0})
    assert (county, bed) == ("Los Angeles", 4.0)
    assert latitude == pytest.approx(34.1, abs=0.1)
    assert features.of(example)[2] == pytest.approx(41.9, abs=0.1)  # 06016 is in Connecticut
    assert [each.column for each in features.infos] == ["zip_code", "bed", "zip_code"]


def test_an_unknown_zip_code_has_the_place_of_its_city_or_state(dataset: Dataset, example: Values) -> None:
    """And none if the state is unknown too: NaN and an empty text."""
    features = Features(dataset, ["place_latitude", "place_county"])
    unknown = {**example, "zip_code": 99999.0, "state": "Illinois"}
    latitude, county = features.of({**unknown, "city": "Chicago"})
    assert latitude == pytest.approx(41.9, abs=0.1)
    assert county == "Cook"
    latitude, _ = features.of({**unknown, "city": "Nowhere"})
    assert latitude == pytest.approx(40, abs=1)
    latitude, county = features.of({**unknown, "city": "Nowhere", "state": "Atlantis"})
    assert isinstance(latitude, float)
    assert math.isnan(latitude)
    assert county == ""
    assert features.of({**unknown, "zip_code": None, "city": "Chicago"})[1] == "Cook"


def test_the_key_of_a_place_may_be_a_text() -> None:
    """As a postcode with letters. City and state are optional."""
    text = BICYCLES.read_text() + '[places]\ntable = "us_zip"\nkey = "maker"\n'
    dataset = parse_dataset(text)
    row = {**dict.fromkeys(dataset.names), "maker": "90210"}
    assert Features(dataset, ["place_county"]).of(row) == ["Los Angeles"]


def properties(example: Values) -> list[Values]:
    return [{**example, "street": float(1_000_000 + n), "zip_code": float(n % 900 + 601)} for n in range(PROPERTIES)]


def test_about_a_fifth_is_the_holdout(dataset: Dataset, example: Values) -> None:
    """Of ten thousand properties, between 17 % and 23 %."""
    share = 100 * sum(in_holdout(dataset, each) for each in properties(example)) / PROPERTIES
    assert abs(share - HOLDOUT_PERCENT) < 3


def test_all_rows_of_a_property_are_on_the_same_side(dataset: Dataset, example: Values) -> None:
    """Other columns, such as the price, do not matter: a model must not be tested on properties of its training."""
    for each in properties(example)[:200]:
        again = {**each, "price": 1.0, "status": "sold", "house_size": None, "brokered_by": 1.0}
        assert in_holdout(dataset, again) == in_holdout(dataset, each)


def test_the_side_of_a_property_never_changes(dataset: Dataset, example: Values) -> None:
    """The hash is part of the contract: all versions are compared on the same rows."""
    sides = "".join(str(int(in_holdout(dataset, each))) for each in properties(example)[:40])
    assert sides == "0000000001011000000000100001000000001000"


def test_a_row_without_a_part_of_its_identity_is_a_property_of_its_own(dataset: Dataset, example: Values) -> None:
    """All of its inputs identify it, not the parts that are left: many houses of a town have no street."""
    unknown = {**example, "street": None}
    assert property_hash(dataset, unknown) == property_hash(dataset, {**unknown, "price": 1.0})
    assert property_hash(dataset, unknown) != property_hash(dataset, {**unknown, "bed": 3.0})
    assert property_hash(dataset, example) == property_hash(dataset, {**example, "bed": 3.0})
    without_identity = dataset.model_copy(update={"identity": []})
    assert property_hash(without_identity, example) != property_hash(without_identity, {**example, "bed": 3.0})


def test_missing_values_of_optional_columns_are_features(example: Values) -> None:
    """A flag for each optional column, and their count, before the features of the place."""
    features = Features(load_dataset("listings"))
    found = dict(zip(features.names, features.of({**example, "bed": None, "house_size": None}), strict=True))
    flags = {name: value for name, value in found.items() if name.startswith("@missing")}
    assert flags == {
        "@missing_status": 0.0,
        "@missing_bed": 1.0,
        "@missing_bath": 0.0,
        "@missing_acre_lot": 0.0,
        "@missing_house_size": 1.0,
        "@missing_prev_sold_date": 0.0,
        "@missing": 2.0,
    }
    owners = {info.name: (info.column, info.is_column) for info in features.infos if info.name in flags}
    assert owners["@missing_bed"] == ("bed", False)
    assert owners["@missing"] == ("missing_values", False)


@pytest.mark.parametrize("year", [1, 1900, 1999, 2000, 2001, 2020, 2023, 2024, 9999])
def test_a_date_can_be_read_from_its_feature(dataset: Dataset, year: int) -> None:
    """Each day of the year, also of a leap year."""
    (column,) = (column for column in dataset.columns if column.kind == "date")
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    for day in map(date.fromordinal, range(first, last + 1)):
        feature = column_feature(column, day)
        assert isinstance(feature, float)
        assert date_of_feature(feature) == day
