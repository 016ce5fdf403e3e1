"""The features of a row, and the holdout."""

import math
from datetime import date

import pytest

from veleta.dataset import Dataset, Value, Values, load_dataset
from veleta.features import (
    HOLDOUT_PERCENT,
    Feature,
    categorical,
    date_of_feature,
    feature_columns,
    features,
    in_holdout,
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
    assert [c.name for c in feature_columns(dataset)] == ORDER


def test_a_column_can_be_left_out_of_the_model(dataset: Dataset) -> None:
    """A text that identifies a thing, as a serial number, tells nothing about other things."""
    columns = [c.model_copy(update={"feature": "none"}) if c.name == "city" else c for c in dataset.columns]
    names = [c.name for c in feature_columns(dataset.model_copy(update={"columns": columns}))]
    assert names == [name for name in ORDER if name != "city"]


def test_features_have_the_order_of_the_file(dataset: Dataset, example: Values) -> None:
    """Not that of the row: CatBoost accepts a list in a wrong order without an error."""
    columns = feature_columns(dataset)
    expected: list[Feature] = ["for_sale", 4.0, 2.0, 0.38, "East Windsor", "Connecticut", "060", 1617.0]
    assert features(columns, example)[:-1] == expected
    shuffled = dict(reversed(example.items()))
    assert features(columns, shuffled) == features(columns, example)


def test_categorical_features_are_listed_by_position(dataset: Dataset) -> None:
    """All text features, including the prefix of an identifier."""
    assert [ORDER[i] for i in categorical(dataset)] == ["status", "city", "state", "zip_code"]


@pytest.mark.parametrize(
    ("zip_code", "prefix"), [(6016.0, "060"), (731.0, "007"), (92101.0, "921"), (7.0, "000"), (None, "")]
)
def test_the_prefix_of_an_identifier_includes_leading_zeros(
    dataset: Dataset, example: Values, zip_code: Value, prefix: str
) -> None:
    """The API sends the number without them, but 06016 and 60160 are far apart."""
    row = features(feature_columns(dataset), {**example, "zip_code": zip_code})
    assert row[ORDER.index("zip_code")] == prefix


@pytest.mark.parametrize(
    ("day", "year"), [(date(1999, 1, 1), 1999 + 1 / 365.25), (date(2000, 12, 31), 2000 + 366 / 365.25)]
)
def test_a_date_is_a_year_with_a_fraction(dataset: Dataset, example: Values, day: date, year: float) -> None:
    """A later day is a greater number."""
    assert features(feature_columns(dataset), {**example, "prev_sold_date": day})[-1] == pytest.approx(year)


def test_a_missing_value_is_nan_or_the_empty_text(dataset: Dataset) -> None:
    """CatBoost accepts NaN as a number, and only text as a category."""
    empty: Values = dict.fromkeys(dataset.names)
    row = features(feature_columns(dataset), empty)
    texts = {i for i, value in enumerate(row) if value == ""}
    assert texts == set(categorical(dataset))
    assert all(isinstance(v, float) and math.isnan(v) for i, v in enumerate(row) if i not in texts)


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


@pytest.mark.parametrize("year", [1, 1900, 1999, 2000, 2001, 2020, 2023, 2024, 9999])
def test_a_date_can_be_read_from_its_feature(dataset: Dataset, example: Values, year: int) -> None:
    """Each day of the year, also of a leap year."""
    columns = [column for column in feature_columns(dataset) if column.kind == "date"]
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    for day in map(date.fromordinal, range(first, last + 1)):
        (feature,) = features(columns, {**example, columns[0].name: day})
        assert isinstance(feature, float)
        assert date_of_feature(feature) == day
