"""Which rows are clean."""

from datetime import date

import pytest

from support.bicycles import BICYCLES
from veleta.cleaning import column_of, rejection
from veleta.dataset import Dataset, Value, Values, load_dataset


@pytest.fixture
def dataset() -> Dataset:
    return load_dataset("real_estate")


@pytest.fixture
def clean(dataset: Dataset) -> Values:
    """The example row."""
    values, _ = dataset.convert(dataset.example)
    return values


def test_a_complete_row_within_all_bounds_is_clean(dataset: Dataset, clean: Values) -> None:
    """The example row is one."""
    assert rejection(dataset, clean) is None


def test_an_optional_column_may_have_no_value(clean: Values) -> None:
    """A value that it has must be within its bounds."""
    listings = load_dataset("listings")
    assert rejection(listings, {**clean, "bed": None, "prev_sold_date": None}) is None
    assert rejection(listings, {**clean, "bed": 31.0}) == "bed: outside 1 .. 30"
    assert rejection(listings, {**clean, "city": None}) == "city: no value"


def test_every_column_must_have_a_value(dataset: Dataset, clean: Values) -> None:
    """The reason names the column."""
    for name in dataset.names:
        assert rejection(dataset, {**clean, name: None}) == f"{name}: no value"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("price", 10_000.0, None),
        ("price", 10_000_000.0, None),
        ("price", 9_999.99, "price: outside 10000 .. 1e+07"),
        ("price", 10_000_000.01, "price: outside 10000 .. 1e+07"),
        ("price", -1.0, "price: below 0"),
        ("bed", 30.0, None),
        ("bed", 31.0, "bed: outside 1 .. 30"),
        ("acre_lot", 0.0, None),
        ("acre_lot", -0.5, "acre_lot: below 0"),
        ("brokered_by", -7.0, None),
        ("status", "", None),
        ("prev_sold_date", date(1800, 1, 1), None),
    ],
)
def test_bounds_are_included(dataset: Dataset, clean: Values, column: str, value: Value, reason: str | None) -> None:
    """A number on a bound is clean. Beyond it, the reason names the bounds. A date without bounds is clean."""
    assert rejection(dataset, {**clean, column: value}) == reason


@pytest.mark.failure("F275")
@pytest.mark.parametrize(
    ("bought", "reason"),
    [
        (date(2000, 1, 1), None),
        (date(2030, 12, 31), None),
        (date(1999, 12, 31), "bought: outside 2000-01-01 .. 2030-12-31"),
        (date(2031, 1, 1), "bought: outside 2000-01-01 .. 2030-12-31"),
    ],
)
def test_the_bounds_of_a_date_are_included(bought: date, reason: str | None) -> None:
    """A column without bounds has none; see above."""
    bicycles = load_dataset(str(BICYCLES))
    values, _ = bicycles.convert(bicycles.example)
    assert rejection(bicycles, {**values, "bought": bought}) == reason


def test_the_first_fault_in_the_files_order_counts(dataset: Dataset, clean: Values) -> None:
    """Each rejected row is counted once, and always by the same reason."""
    faulty = {**clean, "house_size": None, "bed": 99.0, "price": 1.0}
    assert rejection(dataset, faulty) == "price: outside 10000 .. 1e+07"


@pytest.mark.parametrize("change", [{"bed": None}, {"bed": -1.0}, {"bed": 31.0}])
def test_a_reason_names_its_column(dataset: Dataset, clean: Values, change: Values) -> None:
    """Whatever the reason is: the loader shows the value of that column."""
    assert column_of(rejection(dataset, {**clean, **change}) or "") == "bed"
