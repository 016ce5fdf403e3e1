"""Values that the model has not learnt, or that are outside the dataset's bounds, are found and shown."""

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import Values, load_dataset, parse_dataset
from veleta.training_values import TrainingValues
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.value_checks import ValueChecks

DATASET = load_dataset("real_estate")
CITIES = [f"City {i}" for i in range(18_212)]
LEARNT = TrainingValues(
    ranges={"bed": (1, 12), "house_size": (300, 9_000), "prev_sold_date": (1995 + 2 / 365.25, 2020 + 366 / 365.25)},
    texts={"status": ["for_sale", "sold"], "city": ["East Windsor", *CITIES], "zip_code": ["060", "061"]},
)
LEARNT_CHECKS, BOUNDS_CHECKS = ValueChecks(DATASET, LEARNT), ValueChecks(DATASET, None)


def row(**changes: object) -> Values:
    return DATASET.convert({**DATASET.example, **changes})[0]


def unusual(checks: ValueChecks, **changes: object) -> list[tuple[str | None, str]]:
    return [(problem.field, problem.message) for problem in checks.unusual([row(**changes)])]


@pytest.mark.failure("F275")
@pytest.mark.parametrize("bought", ["1999-12-31", "2031-01-01"])
def test_a_date_outside_its_bounds_is_unusual(bought: str) -> None:
    """As a number outside those of [cleaning]. A bound itself is usual."""
    bicycles = load_dataset(str(BICYCLES))
    checks = ValueChecks(bicycles, None)
    rows = [bicycles.convert({**bicycles.example, "bought": each})[0] for each in (bought, "2000-01-01", "2030-12-31")]
    message = f"{bought} is outside 2000-01-01 .. 2030-12-31, the bounds of the dataset file"
    assert checks.unusual(rows) == [ValidationProblem(0, "bought", message)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bed": 1, "house_size": 300},
        {"bed": 12, "house_size": 9_000},
        {"prev_sold_date": "1995-01-02"},
        {"prev_sold_date": "2020-12-31"},
        {"zip_code": "06199"},
        {"street": 1e308, "brokered_by": -1.0, "state": "Nowhere"},
        {"price": 1e300},
    ],
)
def test_learnt_values_are_usual(changes: dict[str, object]) -> None:
    """Both ends of a range belong to it. Neither the target nor a column that is no feature is checked."""
    assert unusual(LEARNT_CHECKS, **changes) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bed": 1e308}, "1e+308 is outside 1 .. 12, what the model has learnt"),
        ({"bed": 0}, "0 is outside 1 .. 12, what the model has learnt"),
        ({"house_size": 9_000.5}, "9000.5 is outside 300 .. 9000, what the model has learnt"),
        ({"acre_lot": 1_001}, "1001 is outside 0 .. 1000, the bounds of the dataset file"),
        ({"prev_sold_date": "1995-01-01"}, "1995-01-01 is outside 1995-01-02 .. 2020-12-31, what the model has learnt"),
        ({"prev_sold_date": "2021-01-01"}, "2021-01-01 is outside 1995-01-02 .. 2020-12-31, what the model has learnt"),
        ({"city": "Atlantis"}, "'Atlantis' is none of the 18,213 values that the model has learnt"),
        ({"city": "x" * 255}, f"'{'x' * 40}'... is none of the 18,213 values that the model has learnt"),
        ({"status": "Sold"}, "'Sold' is none of 'for_sale', 'sold', what the model has learnt"),
        ({"zip_code": 99_950.0}, "99950 begins with 999 as 5 digits, and the model has learnt no such value"),
        ({"zip_code": 601.0}, "601 begins with 006 as 5 digits, and the model has learnt no such value"),
    ],
)
def test_an_unusual_value_is_shown_with_what_is_usual(changes: dict[str, object], message: str) -> None:
    """One message for each field."""
    assert unusual(LEARNT_CHECKS, **changes) == [(*changes, message)]


def test_without_learnt_values_the_bounds_are_checked() -> None:
    """Models of earlier versions do not say what they have learnt."""
    assert unusual(BOUNDS_CHECKS, bed=31, city="Atlantis") == [
        ("bed", "31 is outside 1 .. 30, the bounds of the dataset file")
    ]


def test_narrower_bounds_than_at_the_training_are_checked() -> None:
    """The dataset file may have changed since."""
    checks = ValueChecks(parse_dataset(DATASET.text.replace("bed = [1, 30]", "bed = [1, 8]")), LEARNT)
    assert unusual(checks, bed=9) == [("bed", "9 is outside 1 .. 8, the bounds of the dataset file")]
    assert unusual(checks, bed=13) == [("bed", "13 is outside 1 .. 12, what the model has learnt")]


def test_each_item_and_field_is_named() -> None:
    """Usual items have no warning."""
    found = LEARNT_CHECKS.unusual([row(), row(bed=13, city="Atlantis"), row(), row(status="x")])
    assert [(problem.item, problem.field) for problem in found] == [(1, "bed"), (1, "city"), (3, "status")]
    assert isinstance(found[0], ValidationProblem)


def test_a_column_that_changed_its_kind_is_not_compared() -> None:
    """Texts with numbers, or the reverse. Columns that were removed are ignored too."""
    learnt = TrainingValues(ranges={"city": (1, 2), "pool": (0, 1)}, texts={"bed": ["4"], "garage": ["a"]})
    assert unusual(ValueChecks(DATASET, learnt)) == []


def test_what_was_not_given_gets_a_warning() -> None:
    """It is unusual only if each row that the model has learnt had a value. The warnings are in the order of items."""
    learnt = LEARNT.model_copy(update={"gaps": ["bed"]})
    listings = load_dataset("listings")
    checks = ValueChecks(listings, learnt)
    rows = [
        listings.convert({**DATASET.example, **changes})[0]
        for changes in ({}, {"bed": None, "city": "Atlantis"}, {"house_size": None, "street": None})
    ]
    unusual = checks.unusual(rows)
    assert [(each.item, each.field) for each in unusual] == [(1, "city"), (2, "house_size")]
    assert [(each.item, each.field, each.message) for each in checks.warnings(rows, unusual)] == [
        (1, "city", "'Atlantis' is none of the 18,213 values that the model has learnt"),
        (1, "bed", "was not given; the model has learnt from rows without it"),
        (2, "house_size", "was not given, and the model has learnt no row without it"),
        (2, "street", "was not given; the model does not use it"),
    ]
    assert checks.warnings(rows[:1], []) == []


def test_a_field_with_bounds_that_the_model_does_not_use_may_be_missing() -> None:
    """Bounds are those of values."""
    text = DATASET.text.replace('title = "Lot"', 'title = "Lot"\nfeature = "none"').replace("lot_per_size", "per_size")
    dataset = parse_dataset(text)
    rows = [dataset.convert({**DATASET.example, "acre_lot": lot})[0] for lot in (None, 1_001)]
    assert [(each.item, each.field) for each in ValueChecks(dataset, LEARNT).unusual(rows)] == [(1, "acre_lot")]


def test_a_boolean_is_compared_with_those_that_were_learnt() -> None:
    """As a category."""
    text = DATASET.text.replace('title = "Status"\nkind = "category"', 'title = "New"\nkind = "boolean"')
    dataset = parse_dataset(text.replace('status = "for_sale"', "status = true"))
    learnt = LEARNT.model_copy(update={"texts": {**LEARNT.texts, "status": ["true"]}})
    rows = [dataset.convert({**DATASET.example, "status": new})[0] for new in (True, False)]
    assert [(each.item, each.message) for each in ValueChecks(dataset, learnt).unusual(rows)] == [
        (1, "'false' is none of 'true', what the model has learnt")
    ]


def test_a_missing_text_is_learnt_as_a_category() -> None:
    """The empty one."""
    dataset = parse_dataset(DATASET.text.replace('title = "City"', 'title = "City"\noptional = true'))
    gap = dataset.convert({**DATASET.example, "city": None})[0]
    assert [each.field for each in ValueChecks(dataset, LEARNT).unusual([gap])] == ["city"]
    learnt = LEARNT.model_copy(update={"texts": {**LEARNT.texts, "city": ["", *LEARNT.texts["city"]]}})
    assert ValueChecks(dataset, learnt).unusual([gap]) == []
