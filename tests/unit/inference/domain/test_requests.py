"""What a client may send: each bad request is told what is wrong, and where."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from veleta.dataset import load_dataset, parse_dataset
from veleta_inference.domain.requests import MAX_FAULTS, Invalid, Reader, Unreadable, parse, rows

DATASET = load_dataset("real_estate")
EXAMPLE = DATASET.example
READER = Reader(DATASET, 3)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in EXAMPLE.items() if name not in names}


def faults(said: object) -> list[tuple[int, str | None, str]]:
    with pytest.raises(Invalid) as told:
        rows(DATASET, said, limit=3)
    return [(fault.item, fault.field, fault.message) for fault in told.value.faults]


def test_one_object_is_a_list_of_one() -> None:
    """A client with one house need not write a list."""
    assert rows(DATASET, EXAMPLE, 3) == rows(DATASET, [EXAMPLE], 3)


def test_values_are_typed() -> None:
    """Whole numbers are numbers, dates are dates, and a category that nobody saw before is one."""
    (row,) = rows(DATASET, {**EXAMPLE, "bed": 4, "city": "Macondo"}, 3)
    assert (row["bed"], row["city"], row["prev_sold_date"]) == (4.0, "Macondo", date(1999, 9, 30))


def test_the_target_may_be_left_out() -> None:
    """It is what the client asks for; sent, it is kept."""
    assert rows(DATASET, without("price"), 3)[0]["price"] is None
    assert rows(DATASET, EXAMPLE, 3)[0]["price"] == 289900.0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bed", "4", "must be a finite number"),
        ("bed", True, "must be a finite number"),
        ("bed", [4.0], "must be a finite number"),
        ("bed", float("nan"), "must be a finite number"),
        ("bed", float("inf"), "must be a finite number"),
        ("bed", None, "must not be null"),
        ("bed", -1, "must be at least 0"),
        ("price", None, "must not be null"),
        ("price", -5.0, "must be at least 0"),
        ("price", "dear", "must be a finite number"),
        ("city", 7, "must be text of up to 255 characters"),
        ("city", "x" * 256, "must be text of up to 255 characters"),
        ("prev_sold_date", "1999-02-30", "must be a date as 1999-09-30"),
        ("prev_sold_date", "30.09.1999", "must be a date as 1999-09-30"),
        ("beds", 4.0, "is not known; did you mean bed?"),
        (" Brokered_By", 4.0, "is not known; did you mean brokered_by?"),
        ("colour_of_the_door", "red", "is not known"),
    ],
)
def test_a_fault_names_its_item_and_field(field: str, value: object, message: str) -> None:
    """Whoever reads the answer knows what to mend."""
    assert faults([EXAMPLE, {**EXAMPLE, field: value}]) == [(1, field, message)]


def test_a_missing_column_is_named() -> None:
    """All columns but the target are required."""
    assert faults(without("price", "street")) == [(0, "street", "is required")]


@pytest.mark.parametrize("said", [3, "text", None, True])
def test_what_is_no_object_is_refused(said: object) -> None:
    """JSON alone is no request."""
    assert faults(said) == [(0, None, "must be an object")]
    assert faults([EXAMPLE, said]) == [(1, None, "must be an object")]


@pytest.mark.parametrize("said", [[], [EXAMPLE] * 4])
def test_an_empty_or_too_long_list_is_refused(said: object) -> None:
    """There is something to predict, and not more than the limit."""
    assert faults(said) == []


def test_all_faults_are_listed_up_to_a_bound() -> None:
    """A client sees all that is wrong at once, but a hostile body makes no endless answer."""
    assert faults({**EXAMPLE, "bed": "x", "bath": "y", "city": 1}) == [
        (0, "bed", "must be a finite number"),
        (0, "bath", "must be a finite number"),
        (0, "city", "must be text of up to 255 characters"),
    ]
    assert len(faults({f"field{i}": i for i in range(100_000)})) == MAX_FAULTS


def test_an_unknown_name_is_shown_cut() -> None:
    """A name of a megabyte neither comes back nor is compared in full."""
    ((_, field, _),) = faults({**EXAMPLE, "x" * 1_000_000: 1})
    assert field == "x" * 64


@pytest.mark.parametrize("said", [b"NaN", b"[NaN]", b'{"a": Infinity}', b'{"a": 1e999}', b"1" * 5000])
def test_numbers_that_are_no_json_are_read(said: bytes) -> None:
    """So that the answer can name the field instead of calling the whole body unreadable."""
    parse(said)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"city": "\xe9"}',
        b'{"city": "\\ud800"}',
        b"[" * 100_000,
        b"price=1",
        b'{"bed": 1, "bed": 1}',
        b'[{"bed": 1, "b\\u0065d": 1}]',
    ],
)
def test_what_is_not_json_in_utf8_is_unreadable(body: bytes) -> None:
    """Cut, binary, half a character, nested without end, a form, a name twice: all are told, none is ours."""
    with pytest.raises(Unreadable):
        parse(body)
    with pytest.raises(Unreadable):
        READER.read(body)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"price": None},
        {"bed": 4, "bath": 0, "house_size": 1e308},
        {"house_size": 123456789012345678901234567890, "acre_lot": 5e-324},
        {"city": "", "state": "x" * 255},
        {"city": "A: b", "street": 1.0},
        {"city": 'É\u2028"\\\n😀' + chr(0)},
        {"prev_sold_date": "0001-01-01"},
        {"prev_sold_date": "9999-12-31"},
    ],
)
def test_one_step_reads_what_the_slow_way_reads(changes: Mapping[str, object]) -> None:
    """The same values, however they are written; a price of None is left out."""
    row = {name: value for name, value in {**EXAMPLE, **changes}.items() if value is not None}
    for said in (row, [row, EXAMPLE]):
        for body in (json.dumps(said).encode(), json.dumps(said, ensure_ascii=False, indent=1).encode()):
            assert READER.read(body) == rows(DATASET, said, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"bed": "4"},
        {"bed": float("nan")},
        {"bed": 10**400},
        {"bed": -1},
        {"price": None},
        {"city": "x" * 256},
        {"prev_sold_date": "1999-9-30"},
        {"prev_sold_date": "1999-02-30"},
        {"prev_sold_date": "1999-09-30T00:00:00"},
        {"beds": 1},
    ],
)
def test_the_fault_is_named_in_either_way(changes: Mapping[str, object]) -> None:
    """What the one step does not take, the slow way explains."""
    with pytest.raises(Invalid) as told:
        READER.read(json.dumps([EXAMPLE, {**EXAMPLE, **changes}]).encode())
    assert [(fault.item, fault.field) for fault in told.value.faults] == [(1, *changes)]


@pytest.mark.parametrize("body", [b"[]", b"[" + b",".join([json.dumps(EXAMPLE).encode()] * 4) + b"]"])
def test_the_number_of_items_is_bounded(body: bytes) -> None:
    """Also where each of them is right."""
    with pytest.raises(Invalid, match=r"list is empty|4 items; one request may have 3"):
        READER.read(body)


def test_a_page_may_take_fewer_items_but_no_more() -> None:
    """The lower of two limits counts."""
    two, four = (json.dumps([EXAMPLE] * count).encode() for count in (2, 4))
    assert len(READER.read(two, most=100)) == 2
    for body, most in ((two, 1), (four, 100)):
        with pytest.raises(Invalid, match="items; one request may have"):
            READER.read(body, most)


def test_a_name_twice_is_found_where_values_fit() -> None:
    """Two readers of one body could understand two requests."""
    with pytest.raises(Unreadable, match="two values with one name: bed"):
        READER.read(json.dumps(EXAMPLE).encode()[:-1] + b', "bed": 5.0}')


def test_columns_may_bear_any_name() -> None:
    """Also one that means something in Python."""
    text = DATASET.text.replace('"bed"', '"class"').replace("bed = ", "class = ")
    dataset = parse_dataset(text)
    assert Reader(dataset, 1).read(json.dumps(dataset.example).encode()) == rows(dataset, dataset.example, 1)
