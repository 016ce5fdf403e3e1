"""The rows of a file: text cells have the values that /predict reads, and wrong ones get its words."""

from collections.abc import Mapping
from datetime import date

import pytest

from support.listings import LINE
from support.memory_inference import DATASET
from veleta.dataset import load_dataset
from veleta.values import DecimalMark
from veleta_inference.domain.errors import InvalidRequest
from veleta_inference.domain.file_rows import FileRowReader, Layout
from veleta_inference.domain.requests import RequestReader

POSITIONS = {name: position for position, name in enumerate(LINE)}
LISTINGS = load_dataset("listings")


def reader(marks: Mapping[str, DecimalMark] | None = None) -> FileRowReader:
    """Of a file with all columns."""
    return FileRowReader(DATASET, Layout(POSITIONS, marks or {}))


def cells(**changes: object) -> list[object]:
    """The cells of a line with some others."""
    return [*{**LINE, **changes}.values()]


def problems(row: list[object], marks: Mapping[str, DecimalMark] | None = None) -> list[tuple[int, str | None, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        reader(marks).read(5, row)
    return [(each.item, each.field, each.message) for each in refusal.value.problems]


def test_a_line_has_the_values_of_its_item() -> None:
    """As /predict reads it. The target is left out: it is what is asked for."""
    item = {name: float(text) if DATASET.by_name[name].numeric else text for name, text in LINE.items()}
    (expected,) = RequestReader(DATASET, 1).convert(item)
    assert reader().read(0, cells()) == {**expected, DATASET.target: None}


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("acre_lot", "0,38", 0.38),
        ("acre_lot", 2, 2.0),
        ("zip_code", "06016", 6016.0),
        ("city", " Orlando ", "Orlando"),
        ("city", 7, "7"),
        ("prev_sold_date", "19990930", date(1999, 9, 30)),
        ("brokered_by", "", None),
        ("street", None, None),
    ],
)
def test_cells_are_read_as_in_input_files(field: str, cell: object, value: object) -> None:
    """Numbers by the decimal mark of their column, and values of a file with types. The model does not use all."""
    assert reader({"acre_lot": ","}).read(0, cells(**{field: cell}))[field] == value


@pytest.mark.parametrize(
    ("field", "cell", "message"),
    [
        ("bed", "four", "'four' is no number"),
        ("bed", "-3", "must be at least 0, not -3"),
        ("bed", "", "is required"),
        ("bed", float("nan"), "is required"),
        ("zip_code", "123456", "'123456' is neither a number nor text of up to 5 digits"),
        ("city", "x" * 300, f"has 300 characters, and may have 255: '{'x' * 40}'..."),
        ("prev_sold_date", "30.09.1999", "'30.09.1999' is no date: write it as 1999-09-30"),
        ("prev_sold_date", "1999-9-30", "'1999-9-30' is no date: write it as 1999-09-30"),
    ],
)
def test_a_wrong_cell_has_the_words_of_predict(field: str, cell: object, message: str) -> None:
    """An empty one is a field that was left out."""
    assert problems(cells(**{field: cell})) == [(5, field, message)]


def test_all_problems_of_a_row_are_named() -> None:
    """In the order of the columns. A wrong price is none: /predict does not use it."""
    row = cells(price="much", bed="x", house_size="")
    assert problems(row) == [(5, "bed", "'x' is no number"), (5, "house_size", "is required")]


def test_a_number_with_two_meanings_is_none() -> None:
    """In a column that shows both decimal marks."""
    (problem,) = problems(cells(acre_lot="1,234"), {"acre_lot": ""})
    assert problem[2].startswith("'1,234' has two meanings")
    assert problems(cells(acre_lot="lots"), {"acre_lot": ""})[0][2] == "'lots' is no number"


def test_columns_that_may_lack_a_value_may_be_missing() -> None:
    """In a row, and in the whole file."""
    header = {"city": 0, "state": 1, "zip_code": 2, "bed": 3}
    row = FileRowReader(LISTINGS, Layout(header, {})).read(0, ["Orlando", "Florida", "32801", ""])
    given = {name: value for name, value in row.items() if value is not None}
    assert given == {"city": "Orlando", "state": "Florida", "zip_code": 32801.0}
    assert row.keys() == {*LISTINGS.names}


def test_the_day_of_a_price_may_have_a_column() -> None:
    """An empty cell asks for the newest day."""
    layout = Layout(POSITIONS, {}, as_of=len(LINE))
    days = [FileRowReader(DATASET, layout).as_of([*cells(), day]) for day in ("2014-06-30", "", None, "soon")]
    assert days == [date(2014, 6, 30), None, None, "soon"]
    assert reader().as_of(cells()) is None
