"""TOML documents and the lines about their structure."""

from datetime import date
from typing import Any

import pytest
from pydantic import Field, ValidationError

from veleta.dataset import Section
from veleta.errors import Stop
from veleta.toml_document import place, read_toml, shown, structure_faults, valid_parts


class Wheel(Section):
    """A table of a list."""

    name: str
    size: float


class Bicycle(Section):
    """A document with a list of tables and a table."""

    maker: str
    wheels: list[Wheel] = Field([])
    bounds: dict[str, tuple[float, float]] = Field({})


def faults(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Bicycle.model_validate(document)
    return structure_faults(Bicycle, document, caught.value.errors())


def test_a_text_that_is_not_toml_is_named_with_its_line() -> None:
    """The line is shown, because TOML's own words are short."""
    with pytest.raises(Stop, match=r"this is not TOML: Invalid value \(at line 2, column 5\): 'b = c'"):
        read_toml("a = 1\nb = c\n")
    with pytest.raises(Stop, match="at end of document"):
        read_toml("a = [1,")


def test_a_fault_names_its_place_what_was_seen_and_what_is_valid() -> None:
    """A table of a list has the name that it declares."""
    document = {"maker": 7, "wheels": [{"name": "front", "size": "big"}, {"sise": 3}], "bounds": {"size": [1, 2, 3]}}
    assert faults(document) == [
        "maker = 7: use a text",
        "[[wheels]] front: size = 'big': use a number",
        "[[wheels]] number 2: name is missing: use a text",
        "[[wheels]] number 2: size is missing: use a number",
        "[[wheels]] number 2: sise is no key: did you mean size?",
        "[bounds] size = [1, 2, 3]: use [lowest, highest]",
    ]


def test_what_is_valid_remains() -> None:
    """So that it can be checked together with the rest."""
    document = {"maker": 7, "wheels": [{"name": "front", "size": "big"}, {"name": "back", "size": 3}], "bounds": {}}
    with pytest.raises(ValidationError) as caught:
        Bicycle.model_validate(document)
    assert valid_parts(document, caught.value.errors()) == {"wheels": [{"name": "back", "size": 3}], "bounds": {}}


def test_a_value_is_shown_as_in_the_file() -> None:
    """A long one is cut."""
    assert [shown(value) for value in (True, 2.0, date(2020, 1, 2), "a")] == ["true", "2", "2020-01-02", "'a'"]
    assert len(shown("x" * 1_000)) < 70


def test_the_place_of_a_column_is_its_name() -> None:
    """Columns are what people think of."""
    assert place({"columns": [{"name": "bed"}]}, ("columns", 0)) == "column bed"
