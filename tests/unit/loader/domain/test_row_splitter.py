"""Which rows go to which table."""

from typing import Any

import pytest

from support.listings import api_rows
from veleta.dataset import load_dataset
from veleta_loader.domain.row_splitter import RowSplitter

DATASET = load_dataset("real_estate")


@pytest.mark.failure("F83")
def test_rows_are_split_into_raw_and_clean() -> None:
    """RAW_DATA gets every row with its rest, CLEAN_DATA the clean rows; the others are counted by reason."""
    good = dict(api_rows(0, 1, seed=1)[0])
    rows: list[dict[str, Any]] = [
        good,
        {**good, "price": "cheap", "colour": "red"},
        {**good, "house_size": None},
        {**good, "house_size": 10.0},
        {**good, "bed": -1.0},
    ]
    splitter = RowSplitter(DATASET, 1, 7)
    raw, clean = splitter.split(rows)
    assert [row["row_no"] for row in raw] == [0, 1, 2, 3, 4]
    assert [row["row_no"] for row in clean] == [0]
    assert raw[0]["rest"] is None
    assert raw[1]["price"] is None
    assert raw[1]["rest"] == {"price": "cheap", "colour": "red"}
    assert splitter.rejected == {
        "price: no value": 1,
        "house_size: no value": 1,
        "house_size: outside 200 .. 20000": 1,
        "bed: below 0": 1,
    }
    assert splitter.examples == {
        "price: no value": 'row 1: "cheap"',
        "house_size: no value": "row 2",
        "house_size: outside 200 .. 20000": "row 3: 10.0",
        "bed: below 0": "row 4: -1.0",
    }


def test_the_first_row_with_a_reason_is_its_example() -> None:
    """Its number counts through the batch, and a long value is cut."""
    good = dict(api_rows(0, 1, seed=1)[0])
    splitter = RowSplitter(DATASET, 1, 7)
    splitter.split([good])
    splitter.split([{**good, "price": "x" * 500}, {**good, "price": "POA"}])
    assert splitter.examples == {"price: no value": f'row 1: "{"x" * 39}...'}


def test_row_numbers_and_counts_continue_through_the_chunks_of_a_batch() -> None:
    """Each row of a batch has one number, whatever chunk it is in."""
    rows = api_rows(0, 5, seed=1)
    splitter = RowSplitter(DATASET, 1, 7)
    splitter.split(rows[:2])
    raw, clean = splitter.split(rows[2:])
    assert [row["row_no"] for row in raw] == [row["row_no"] for row in clean] == [2, 3, 4]
    assert (splitter.received, splitter.cleaned) == (5, 5)
