"""How the decimal marks of a file are found."""

import pytest

from veleta.dataset import load_dataset
from veleta.input.decimal_marks import find_decimal_marks

DATASET = load_dataset("real_estate")
NUMERIC = [column.name for column in DATASET.columns if column.numeric]
POSITIONS = {name: position for position, name in enumerate(DATASET.names)}


def marks(**cells: list[object]) -> dict[str, str]:
    """The marks of the columns price, acre_lot and house_size, by cells of these columns."""
    count = max(map(len, cells.values()))
    rows = [[(cells.get(name, []) + [None] * count)[i] for name in DATASET.names] for i in range(count)]
    found = find_decimal_marks(DATASET, POSITIONS, rows)
    assert list(found) == NUMERIC
    return {name: found[name] for name in ("price", "acre_lot", "house_size")}


def test_a_point_is_the_decimal_mark_unless_the_file_shows_a_comma() -> None:
    """Numbers without separators show nothing, nor do those with two meanings."""
    assert marks(price=["1,234", "$110,000", "7"], acre_lot=["1.234"]) == {
        "price": ".",
        "acre_lot": ".",
        "house_size": ".",
    }


def test_one_number_shows_the_mark_of_its_column() -> None:
    """Other columns of the file may be written in another way, if they show it."""
    found = marks(price=["110000.0", "1,234"], acre_lot=["1,234", "0,38"])
    assert found == {"price": ".", "acre_lot": ",", "house_size": "."}


def test_a_column_that_shows_nothing_has_the_mark_of_the_file() -> None:
    """A program writes all columns of a file in one way."""
    assert marks(price=["110.000"], acre_lot=["0,38"]) == {"price": ",", "acre_lot": ",", "house_size": ","}


@pytest.mark.parametrize("cells", [["0,38", "0.5"], ["1,234.5", "1.234,5"], ["1.5", "1.234.567"]])
def test_a_column_with_both_marks_has_none(cells: list[object]) -> None:
    """Then a number with two meanings is no value."""
    assert marks(acre_lot=cells)["acre_lot"] == ""


def test_numbers_with_types_and_short_rows_show_nothing() -> None:
    """Only texts have a decimal mark."""
    assert set(find_decimal_marks(DATASET, POSITIONS, [[1.5] * 12, ["0"]]).values()) == {"."}
