"""Findings about the columns and values of a batch."""

from typing import Any

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import load_dataset, parse_dataset
from veleta_poller.domain.findings import (
    group_finding,
    match_column_names,
    repeated_rows,
    schema_findings,
    strip_column_names,
    value_findings,
)

DATASET = load_dataset("real_estate")
ROW: dict[str, Any] = dict(DATASET.example)


def test_spaces_around_column_names_are_no_finding() -> None:
    """The seed's code writes " brokered_by"."""
    rows = [{(" brokered_by" if key == "brokered_by" else key): value for key, value in ROW.items()}]
    assert strip_column_names(rows) == []
    assert rows == [ROW]


def test_a_column_name_without_spaces_takes_precedence() -> None:
    """Two columns with the same stripped name are a finding."""
    for row in ({" price": 1, **ROW}, {**ROW, "price ": 1}):
        rows = [row]
        [finding] = strip_column_names(rows)
        assert rows[0]["price"] == ROW["price"]
        assert "came twice" in finding
        assert "'price' (1 rows)" in finding


@pytest.mark.failure("F84")
def test_a_column_gets_its_declared_name() -> None:
    """Whatever the case, spaces and hyphens are, or if it is its title. Each renaming is a finding."""
    other = {"zip_code": "zipCode", "house_size": "House-Size", "price": "PRICE", "acre_lot": "Lot"}
    rows = [{other.get(key, key): value for key, value in ROW.items()}, dict(ROW)]
    assert match_column_names(rows, DATASET) == [
        (
            "columns renamed: 'PRICE -> price' (1 rows), 'Lot -> acre_lot' (1 rows), 'zipCode -> zip_code' (1 rows), "
            "'House-Size -> house_size' (1 rows)"
        )
    ]
    assert rows == [ROW, ROW]
    assert list(rows[0]) == list(ROW)
    assert schema_findings(rows, DATASET) == []


def test_a_name_with_two_meanings_is_not_changed() -> None:
    """The declared name takes precedence. Two names for one column are unknown columns."""
    both = {**ROW, "zipCode": 1.0}
    twice = {**{key: value for key, value in ROW.items() if key != "zip_code"}, "zipCode": 1.0, "ZIP_CODE": 2.0}
    rows = [both, twice]
    assert match_column_names(rows, DATASET) == []
    assert rows == [both, twice]


@pytest.mark.failure("F84")
def test_unknown_and_missing_columns_are_findings() -> None:
    """Each is reported with the number of its rows."""
    without = {key: value for key, value in ROW.items() if key != "bath"}
    assert schema_findings([ROW, {**ROW, "pool": 1}, without], DATASET) == [
        "unknown columns: 'pool' (1 rows)",
        "missing columns: 'bath' (1 rows)",
    ]


@pytest.mark.failure("F84")
def test_another_order_of_columns_is_a_finding() -> None:
    """Missing and unknown columns do not count as another order."""
    assert schema_findings([dict(reversed(ROW.items())), ROW], DATASET) == ["columns in another order (1 rows)"]
    assert schema_findings([{"pool": 1, **ROW}], DATASET) == ["unknown columns: 'pool' (1 rows)"]


def test_a_finding_is_short() -> None:
    """Only the first names of a thousand unknown columns are listed."""
    [finding] = schema_findings([{**ROW, f"{i}" + "x" * 500: 1} for i in range(1_000)], DATASET)
    assert finding.endswith("and 995 more")
    assert len(finding) < 400


def test_nulls_and_values_of_another_kind_are_findings() -> None:
    """They are counted by column."""
    number, date = (next(c.name for c in DATASET.columns if c.kind == kind) for kind in ("number", "date"))
    assert value_findings([{**ROW, number: None, date: "soon"}, {**ROW, number: "many"}], DATASET) == [
        f"nulls: '{number}' (1 rows)",
        f"values that do not fit: '{number}' (1 rows), '{date}' (1 rows)",
    ]


@pytest.mark.failure("F275")
def test_values_beyond_the_bounds_of_their_column_are_a_finding() -> None:
    """A date outside its bounds and a number below its minimum, counted by column. On a bound there is none."""
    bicycles = parse_dataset(BICYCLES.read_text())
    row = {**bicycles.example, "bought": "2000-01-01"}
    rows = [row, {**row, "bought": "1999-12-31"}, {**row, "bought": "2031-01-01", "gears": 0}]
    assert value_findings(rows, bicycles) == ["values beyond their bounds: 'bought' (2 rows), 'gears' (1 rows)"]


@pytest.mark.failure("F274")
def test_repeated_rows_are_a_finding() -> None:
    """Each row that is equal to an earlier one counts, whatever the order of its columns."""
    other = {**ROW, "price": 7.0}
    assert repeated_rows([ROW, other]) == []
    assert repeated_rows([ROW, other, dict(reversed(ROW.items())), ROW]) == [
        "repeated rows: 2 of 4 rows are equal to an earlier one"
    ]


@pytest.mark.failure("F276")
@pytest.mark.parametrize(
    ("before", "group", "findings"),
    [(None, 7, []), (7, 7, []), (6, 7, ["another group: 7, and the batch before is of group 6 (50 rows)"])],
)
def test_another_group_than_before_is_a_finding(before: int | None, group: int, findings: list[str]) -> None:
    """Manifests of earlier versions have no group."""
    assert group_finding(before, group, 50) == findings


def test_a_declared_gap_is_no_finding() -> None:
    """Of an optional column. A text for a missing value counts as null."""
    listings = load_dataset("listings")
    assert value_findings([{**ROW, "bed": None}], listings) == []
    assert value_findings([{**ROW, "bed": "many"}], listings) == ["values that do not fit: 'bed' (1 rows)"]
    text = DATASET.text.replace('title = "City"', 'title = "City"\nmissing = ["-"]')
    assert value_findings([{**ROW, "city": " - "}], parse_dataset(text)) == ["nulls: 'city' (1 rows)"]
