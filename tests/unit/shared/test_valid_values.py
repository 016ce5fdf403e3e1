"""What a field accepts, in words."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints

from veleta.valid_values import NAME_PATTERN, NAME_WORDS, URL_PATTERN, alternatives, did_you_mean, valid_values


class Example(BaseModel):
    """A field of each kind."""

    count: int = Field(ge=1, le=64)
    share: float = Field(gt=0)
    limit: float | None = Field(None, lt=10_000)
    end: Literal["restart", "stop"]
    day: date
    flag: bool
    words: str
    folder: Path
    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    names: list[Annotated[str, StringConstraints(pattern=NAME_PATTERN)]]
    address: str = Field(pattern=URL_PATTERN)
    bounds: tuple[float, float]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("count", "a whole number from 1 up to 64"),
        ("share", "a number above 0"),
        ("limit", "a number below 10,000"),
        ("end", "restart or stop"),
        ("day", "a date as 1999-12-31"),
        ("flag", "true or false"),
        ("words", "a text"),
        ("folder", "a text"),
        ("name", NAME_WORDS),
        ("names", "a list of names"),
        ("address", "an address as http://host:port"),
        ("bounds", "[lowest, highest]"),
    ],
)
def test_each_kind_of_field_has_words(name: str, words: str) -> None:
    """With its bounds."""
    assert valid_values(Example.model_fields[name]) == words


def test_a_wrong_name_is_answered_with_the_nearest_or_all() -> None:
    """So that the next try is right."""
    assert did_you_mean("knd", ["kind", "title"]) == "did you mean kind?"
    assert did_you_mean("colour", ["kind", "title", "unit"]) == "use kind, title or unit"
    assert did_you_mean("colour", []) == "there is none"
    assert alternatives(["one"]) == "one"
