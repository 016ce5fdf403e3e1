"""The messages about values: each says what came and what is wanted."""

import math

import pytest

from veleta.dataset import Column, Kind
from veleta_inference.domain.messages import MAX_SHOWN, no_object, shown, too_small, unfit


def column(kind: Kind, digits: int = 0) -> Column:
    return Column(name="a", title="A", kind=kind, digits=digits)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("four", "'four'"),
        ("two\nlines", r"'two\nlines'"),
        ("x" * 1_000_000, f"'{'x' * MAX_SHOWN}'..."),
        (4.0, "4"),
        (0.38, "0.38"),
        (-3, "-3"),
        (1e308, "1e+308"),
        (1_000_000.0, "1000000"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (True, "true"),
        (None, "null"),
        ([1, 2], "a list"),
        ({"a": "x" * 1_000}, "an object"),
    ],
)
def test_values_are_shown_in_few_characters(value: object, text: str) -> None:
    """As JSON writes them, in one line. Long ones are cut."""
    assert shown(value) == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("number", "four", "'four' is no number"),
        ("number", "4", "'4' is text: write 4 without quotes"),
        ("number", "15,6", "'15,6' is text: write 15.6 without quotes"),
        ("number", True, "true is no number"),
        ("number", [4.0], "a list is no number"),
        ("number", math.inf, "must be a finite number, not Infinity"),
        ("identifier", "four", "'four' is no number"),
        ("category", 7.0, "7 is no text"),
        ("category", " ", "' ' is no value: write a text of 1 to 255 characters"),
        ("category", "x" * 256, f"has 256 characters, and may have 255: '{'x' * MAX_SHOWN}'..."),
        ("date", "30/09/1999", "'30/09/1999' is no date: write it as 1999-09-30"),
        ("date", "2020-1-5", "'2020-1-5' is no date: write it as 2020-01-05"),
        ("date", "2020-01-05T12:30:00", "'2020-01-05T12:30:00' is no date: write it as 2020-01-05"),
        ("date", "30.09.1999", "'30.09.1999' is no date: write it as 1999-09-30"),
        ("date", "1999-02-30", "'1999-02-30' is no day of the calendar"),
        ("date", 1999.0, "1999 is no date: write it as 1999-09-30"),
    ],
)
def test_a_value_of_another_kind_is_shown(kind: Kind, value: object, message: str) -> None:
    """With what to write instead, where that is not clear."""
    assert unfit(column(kind), value) == message


def test_an_identifier_with_digits_may_be_text() -> None:
    """The message shows both ways to write it."""
    zip_code = column("identifier", digits=5)
    assert unfit(zip_code, "A6016") == "'A6016' is neither a number nor text of up to 5 digits"


def test_a_bound_and_an_item_are_shown_with_what_came() -> None:
    """The other messages of a request."""
    assert too_small(0.0, -3.0) == "must be at least 0, not -3"
    assert no_object([1]) == "must be an object with the columns, not a list"
