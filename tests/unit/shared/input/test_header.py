"""How the names in a header are matched with the dataset's columns."""

import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.input.header import match_header

DATASET = load_dataset("real_estate")
NAMES = list(LINE)


def renamed(old: str, *new: str) -> list[str]:
    """The header with other names in the place of one."""
    place = NAMES.index(old)
    return [*NAMES[:place], *new, *NAMES[place + 1 :]]


@pytest.mark.parametrize(
    "cells",
    [
        NAMES,
        [name.upper() for name in NAMES],
        [f" {name}  " for name in NAMES],
        [name.replace("_", " ").title() for name in NAMES],
        [name.replace("_", "-") for name in NAMES],
        [name.title().replace("_", "") for name in NAMES],
        ["\ufeffbrokered_by", *NAMES[1:]],
        [column.title for column in DATASET.columns],
        [f"{column.name} ({column.unit})" for column in DATASET.columns],
    ],
)
def test_a_column_is_matched_by_name_or_title(cells: list[str]) -> None:
    """Whatever the case, spaces, hyphens and underscores are, and with its unit."""
    header = match_header(DATASET, cells)
    assert header.faults == header.ignored == []
    assert list(header.positions.values()) == list(range(12))


def test_other_columns_are_ignored_and_named() -> None:
    """Also those without a name, first or last."""
    header = match_header(DATASET, ["", *NAMES, "notes", " "])
    assert header.faults == []
    assert header.ignored == ["the one without a name (1)", "'notes'", "the one without a name (15)"]
    assert (header.width, header.named) == (15, 14)


@pytest.mark.parametrize("twin", ["price", "Price", " PRICE "])
def test_a_column_that_is_there_twice_is_a_fault(twin: str) -> None:
    """Either could be meant."""
    faults = match_header(DATASET, [*NAMES, twin]).faults
    assert faults == ["column price is in the header more than once, at 3 and 13; keep one of them"]


def test_a_name_wins_over_a_title() -> None:
    """The title of one column may be another name in the file."""
    header = match_header(DATASET, [*NAMES, "Broker"])
    assert (header.positions["brokered_by"], header.ignored, header.faults) == (0, ["'Broker'"], [])


def test_each_missing_column_is_named_with_the_nearest_name() -> None:
    """All of them at once."""
    cells = [{"zip_code": "zipcod", "bed": "rooms"}.get(name, name) for name in NAMES if name != "street"]
    assert match_header(DATASET, cells).faults == [
        "column bed is missing in the header; the nearest name is 'rooms'",
        "column street is missing in the header",
        "column zip_code is missing in the header; the nearest name is 'zipcod'",
        "these names of the header match no name and no title of a column: 'rooms', 'zipcod'",
    ]


def test_a_first_line_with_values_is_no_header() -> None:
    """The message says so, and not that twelve columns are missing."""
    (fault,) = match_header(DATASET, list(LINE.values())).faults
    assert fault.startswith(
        "the first line has values ('103378.0, for_sale, 105000.0, 3') and no header; add a line with"
    )


@pytest.mark.parametrize(
    ("cells", "hint"), [(["a:b:c"], ", separated by commas, semicolons, tabs or |"), (["a", "b"], "")]
)
def test_a_header_without_any_column_is_one_fault(cells: list[str], hint: str) -> None:
    """It names the columns that are wanted. With one cell, the separator may be the reason."""
    shown = ", ".join(cells)
    wanted = ", ".join(NAMES)
    assert match_header(DATASET, cells).faults == [
        f"the header '{shown}' has no column of the dataset; wanted: {wanted}{hint}"
    ]
