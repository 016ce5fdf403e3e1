"""Which row of a file belongs to which batch, and why a row is left out."""

from datetime import date

import orjson
import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.input.batch_assignment import BatchAssigner, Cells, Row, looks_like_row
from veleta.input.header import match_header
from veleta.input.row_counts import Reason
from veleta.values import DecimalMark

DATASET = load_dataset("real_estate")
HEADER = match_header(DATASET, list(LINE))


def assign(cells: Cells, marks: dict[str, DecimalMark] | None = None) -> tuple[int, Row]:
    """The place and the row of cells that are complete."""
    assigned = BatchAssigner(DATASET, HEADER, marks or {}).assign(cells)
    assert isinstance(assigned, tuple)
    return assigned.place, assigned.row


def reasons(cells: Cells, marks: dict[str, DecimalMark] | None = None) -> list[tuple[str, str]]:
    """Why the row is left out: texts, and what was seen."""
    assigned = BatchAssigner(DATASET, HEADER, marks or {}).assign(cells)
    assert isinstance(assigned, list)
    return [(reason.text, reason.seen) for reason in assigned]


def line(**changes: object) -> list[object]:
    """LINE with some other cells."""
    return list({**LINE, **changes}.values())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"house_size": "1500.0"}, 1),
        ({"price": "300000.0"}, 0),
        ({"status": "sold"}, 2),
        ({"state": "Massachusetts"}, 3),
        ({"state": "Massachusetts", "status": "sold", "house_size": "900.0"}, 3),
        ({"state": "Massachusetts", "price": "300001.0"}, 4),
        ({"price": "500000.0"}, 4),
        ({"price": "500000.5"}, 5),
        ({"price": "$500,001", "status": " for_sale "}, 5),
    ],
)
def test_the_first_matching_rule_determines_the_place(changes: dict[str, str], expected: int) -> None:
    """Rules are tried in the file's order, on values as they are read."""
    assert assign(line(**changes))[0] == expected


def test_a_row_without_a_rule_is_left_out() -> None:
    """For example one with another status."""
    assert reasons(line(status="ready_to_build")) == [("no batch rule", "")]


def test_a_row_may_lack_the_values_of_optional_columns() -> None:
    """Also one that does not fit. The row is counted, and the value is null."""
    listings = load_dataset("listings")
    header = match_header(listings, list(LINE))
    assigned = BatchAssigner(listings, header, {}).assign(line(bed="", house_size="1056 - 1200", bath="2"))
    assert not isinstance(assigned, list)
    assert (assigned.row["bed"], assigned.row["house_size"], assigned.row["bath"]) == (None, None, 2.0)
    assert [(gap.text, gap.seen) for gap in assigned.gaps] == [
        ("bed missing", ""),
        ("house_size not a number", "'1056 - 1200'"),
    ]
    refused = BatchAssigner(listings, header, {}).assign(line(bed="", city=""))
    assert [reason.text for reason in refused if isinstance(reason, Reason)] == ["city missing"]


def test_booleans_and_other_forms_of_dates_are_sent_as_json_has_them() -> None:
    """True or false, and a date as 1999-09-30. Their reasons name the form of the column."""
    columns = [
        DATASET.by_name["status"].model_copy(update={"kind": "boolean", "missing": ["?"]}),
        DATASET.by_name["prev_sold_date"].model_copy(update={"format": "%d/%m/%Y"}),
    ]
    dataset = DATASET.model_copy(update={"columns": columns, "source": []})
    assigner = BatchAssigner(dataset, match_header(dataset, ["status", "prev_sold_date"]), {})
    assigned = assigner.assign(["No", "4/02/2016"])
    assert not isinstance(assigned, list)
    assert assigned.row == {"status": False, "prev_sold_date": "2016-02-04"}
    assert assigner.assign(["2", "02/13/2016"]) == [
        Reason("status neither true nor false", "'2'"),
        Reason("prev_sold_date not a date as 30/09/1999", "'02/13/2016'"),
    ]
    assert assigner.assign(["?", "2016-02-04"]) == [Reason("status missing", gap="status")]


@pytest.mark.parametrize("column", list(LINE))
@pytest.mark.parametrize("empty", ["", " ", "NaN", None])
def test_an_incomplete_row_is_left_out(column: str, empty: str | None) -> None:
    """Only complete rows are served."""
    assert reasons(line(**{column: empty})) == [(f"{column} missing", "")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": "POA"}, ("price not a number", "'POA'")),
        ({"price": "x" * 100}, ("price not a number", f"'{'x' * 39}…'")),
        ({"price": "289,900 €"}, ("price not in USD", "'289,900 €'")),
        ({"price": "a\nb"}, ("price not a number", "'a b'")),
        ({"street": "1.5"}, ("street not a whole number", "'1.5'")),
        ({"zip_code": "123456"}, ("zip_code not a number of up to 5 digits", "'123456'")),
        ({"prev_sold_date": "soon"}, ("prev_sold_date not a date as 1999-09-30", "'soon'")),
        ({"city": "x" * 256}, ("city longer than 255 characters", f"'{'x' * 39}…'")),
    ],
)
def test_a_cell_that_is_no_value_is_a_reason(changes: dict[str, str], expected: tuple[str, str]) -> None:
    """With what was seen, in one short line."""
    assert reasons(line(**changes)) == [expected]


@pytest.mark.failure("F183")
def test_each_reason_of_a_row_is_named() -> None:
    """So the counts show how many values each column lacks."""
    assert reasons(line(bed="", price="POA")) == [("price not a number", "'POA'"), ("bed missing", "")]


def test_the_decimal_mark_of_a_column_decides() -> None:
    """Without one, a number with two meanings is no value."""
    assert assign(line(acre_lot="1,234"), {"acre_lot": ","})[1]["acre_lot"] == 1.234
    assert assign(line(acre_lot="1,234"), {"acre_lot": "."})[1]["acre_lot"] == 1234.0
    assert reasons(line(acre_lot="1,234"), {"acre_lot": ""}) == [("acre_lot with two meanings", "'1,234'")]


def test_a_row_has_as_many_cells_as_the_header() -> None:
    """Others would have their values in wrong columns. Empty cells at the end do no harm."""
    assert reasons(line()[:-1]) == [("fewer cells than the header", "11 and not 12")]
    assert reasons([*line(), "x"]) == [("more cells than the header", "13 and not 12")]
    assert assign([*line(), "", " "])[0] == 0


def test_a_cell_without_a_name_at_the_end_may_be_missing() -> None:
    """Some programs write a separator at the end of the header only."""
    header = match_header(DATASET, [*LINE, ""])
    for cells in (line(), [*line(), "x"]):
        assert isinstance(BatchAssigner(DATASET, header, {}).assign(cells), tuple)


def test_columns_are_found_by_name() -> None:
    """Their order in the file does not matter, and the row has the dataset's order."""
    reordered = {"": "7", **dict(reversed(LINE.items()))}
    assigned = BatchAssigner(DATASET, match_header(DATASET, list(reordered)), {}).assign(list(reordered.values()))
    assert isinstance(assigned, tuple)
    assert list(assigned[1]) == DATASET.names
    assert orjson.dumps(assigned[1]) == orjson.dumps(assign(line())[1])


def test_numbers_become_floats_and_texts_have_one_spelling() -> None:
    """As the API sends them."""
    row = assign(line(bed=" 3 ", city="Man\u0303on", prev_sold_date="20190628"))[1]
    assert (row["bed"], row["zip_code"], row["city"], row["prev_sold_date"]) == (3.0, 601.0, "Ma\u00f1on", "2019-06-28")


def test_a_file_with_types_may_have_numbers_for_texts() -> None:
    """They are read as CSV would have them."""
    row = assign(line(bed=3, city=7, prev_sold_date=date(2019, 6, 28)))[1]
    assert (row["bed"], row["city"], row["prev_sold_date"]) == (3.0, "7", "2019-06-28")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (line(), True),
        (line(bed="", price=""), True),
        (line(bed="many"), False),
        (line()[:-1], False),
        (["a text", *line()[:-2]], False),
    ],
)
def test_cells_look_like_a_row_by_the_kinds_of_their_values(cells: Cells, expected: bool) -> None:
    """So that a text with commas is not one."""
    assert looks_like_row(DATASET, HEADER, cells) is expected
