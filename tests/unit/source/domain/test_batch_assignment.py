"""Which line of a CSV file belongs to which batch."""

import orjson
import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta_source.domain.batch_assignment import BatchAssigner

DATASET = load_dataset("real_estate")


def place(**changes: str) -> int | None:
    """The place of LINE with some other cells."""
    assigned = BatchAssigner(DATASET, list(LINE)).assign(list({**LINE, **changes}.values()))
    return assigned[0] if assigned else None


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
        ({"status": "ready_to_build"}, None),
    ],
)
def test_the_first_matching_rule_determines_the_place(changes: dict[str, str], expected: int | None) -> None:
    """Rules are tried in the file's order. A row without a matching rule is left out."""
    assert place(**changes) == expected


@pytest.mark.parametrize("column", list(LINE))
def test_an_incomplete_row_is_left_out(column: str) -> None:
    """Only complete rows are served."""
    assert place(**{column: ""}) is None


@pytest.mark.parametrize(
    "changes",
    [{"price": "cheap"}, {"bed": "nan"}, {"bath": "inf"}, {"prev_sold_date": "28/06/2019"}, {"city": "x" * 256}],
)
def test_a_row_with_an_invalid_value_is_left_out(changes: dict[str, str]) -> None:
    """All values of a served row fit their columns."""
    assert place(**changes) is None


def test_a_short_line_is_left_out() -> None:
    """Its last cells are missing."""
    assert BatchAssigner(DATASET, list(LINE)).assign(list(LINE.values())[:-1]) is None


def test_numbers_become_floats_in_the_order_of_the_dataset() -> None:
    """The ZIP code has no leading zero. The order of columns in the file does not matter."""
    reordered = dict(reversed(LINE.items()))
    assigned = BatchAssigner(DATASET, list(reordered)).assign(list(reordered.values()))
    assert assigned is not None
    row = assigned[1]
    assert list(row) == DATASET.names
    assert (row["zip_code"], row["bed"], row["city"]) == (601.0, 3.0, "Adjuntas")
    assert orjson.dumps(row["bed"]) == b"3.0"


def test_a_header_without_a_column_of_the_dataset_names_it() -> None:
    """All missing columns are listed."""
    with pytest.raises(Stop, match="lacks: price, zip_code"):
        BatchAssigner(DATASET, [name for name in LINE if name not in ("price", "zip_code")])
