"""The rows of a request: valid ones are typed, and every problem of an invalid one is named."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from support.market_levels import MARKET
from veleta.dataset import MAX_TEXT, load_dataset, parse_dataset
from veleta_inference.domain.errors import MAX_PROBLEMS, InvalidRequest, UnreadableBody
from veleta_inference.domain.requests import RequestReader, take_as_of

DATASET = load_dataset("real_estate")
EXAMPLE = DATASET.example
BOOLEAN = 'name = "status"\ntitle = "Furnished"\nkind = "boolean"'


def reader() -> RequestReader:
    """A new reader: its types are made from the dataset. A request may have 3 items."""
    return RequestReader(DATASET, 3)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in EXAMPLE.items() if name not in names}


def problems(body: object) -> list[tuple[int, str | None, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        reader().convert(body)
    assert (refusal.value.detail == "see `errors`") == bool(refusal.value.problems)
    return [(problem.item, problem.field, problem.message) for problem in refusal.value.problems]


def test_one_object_is_read_as_a_list_of_one() -> None:
    """A client with one house needs no list."""
    assert reader().convert(EXAMPLE) == reader().convert([EXAMPLE])


def test_values_are_typed() -> None:
    """Whole numbers become floats, dates become dates, and unknown categories are valid."""
    (row,) = reader().convert({**EXAMPLE, "bed": 4, "city": "Macondo"})
    assert (row["bed"], row["city"], row["prev_sold_date"]) == (4.0, "Macondo", date(1999, 9, 30))


@pytest.mark.parametrize(
    ("field", "sent", "value"),
    [
        ("zip_code", "06016", 6016.0),
        ("zip_code", "06016-1234", 6016.0),
        ("zip_code", 6016, 6016.0),
        ("city", " East Windsor ", "East Windsor"),
        ("city", "Man\u0303on", "Ma\u00f1on"),
    ],
)
def test_identifiers_and_categories_are_read_as_in_files(field: str, sent: object, value: object) -> None:
    """A leading zero, a ZIP+4 code and spaces change nothing, in both decoders."""
    body = {**EXAMPLE, field: sent}
    assert reader().read(json.dumps(body).encode())[0][field] == reader().convert(body)[0][field] == value


def test_an_identifier_as_text_has_the_minimum_of_its_column() -> None:
    """In both decoders."""
    text = DATASET.text.replace('title = "ZIP code"', 'title = "ZIP code"\nminimum = 501')
    reader = RequestReader(parse_dataset(text), 1)
    assert reader.read(json.dumps({**EXAMPLE, "zip_code": "00501"}).encode())[0]["zip_code"] == 501.0
    with pytest.raises(InvalidRequest):
        reader.read(json.dumps({**EXAMPLE, "zip_code": "00500"}).encode())


def test_the_target_may_be_left_out() -> None:
    """It is what the client wants to know. If it is sent, it stays in the row."""
    assert reader().convert(without("price"))[0]["price"] is None
    assert reader().convert(EXAMPLE)[0]["price"] == 289900.0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bed", "four", "'four' is no number"),
        ("bed", float("nan"), "must be a finite number, not NaN"),
        ("bed", None, "must not be null"),
        ("bed", -1, "must be at least 0, not -1"),
        ("price", None, "must not be null"),
        ("price", -5.0, "must be at least 0, not -5"),
        ("price", "dear", "'dear' is no number"),
        ("zip_code", "x", "'x' is neither a number nor text of up to 5 digits"),
        ("city", 7, "7 is no text"),
        ("prev_sold_date", "30/09/1999", "'30/09/1999' is no date: write it as 1999-09-30"),
        ("beds", 4.0, "is not known; did you mean bed?"),
        (" Brokered_By", 4.0, "is not known; did you mean brokered_by?"),
        ("colour_of_the_door", "red", "is not known"),
    ],
)
def test_a_problem_names_its_item_and_field(field: str, value: object, message: str) -> None:
    """So a client knows what to correct."""
    assert problems([EXAMPLE, {**EXAMPLE, field: value}]) == [(1, field, message)]


def test_a_missing_column_is_named() -> None:
    """If the model uses it, and it is not optional."""
    assert problems(without("price", "street", "city")) == [(0, "city", "is required")]
    assert problems({**EXAMPLE, "city": None}) == [(0, "city", "must not be null")]


@pytest.mark.parametrize(
    "sent",
    [
        {"city": "Elkton", "state": "Ohio", "zip_code": "06016"},
        {"status": None, "city": "Elkton", "state": "Ohio", "zip_code": 6016, "bed": None, "street": None},
        {"status": "sold", "city": " Elkton", "state": "a: b", "zip_code": 1, "bed": 3, "price": 5, "brokered_by": 7},
    ],
)
def test_what_is_optional_or_not_used_may_be_absent_or_null(
    sent: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both decoders fill it with None, the fast one without the other, unless a text has a colon."""
    listings = RequestReader(load_dataset("listings"), 3)
    expected = listings.convert([sent, {**EXAMPLE, **sent}])
    assert expected[0] == dict.fromkeys(listings.dataset.names) | listings.dataset.convert(sent)[0]
    if sent["state"] == "Ohio":
        monkeypatch.setattr(listings, "convert", lambda _decoded: pytest.fail("the body was read again"))
    assert listings.read(json.dumps([sent, {**EXAMPLE, **sent}]).encode()) == expected


def test_a_declared_text_for_a_missing_value_is_one() -> None:
    """As in files. A required column needs a value."""
    text = DATASET.text.replace('title = "City"', 'title = "City"\noptional = true\nmissing = ["-"]')
    text = text.replace('title = "State"', 'title = "State"\nmissing = ["-"]')
    reader = RequestReader(parse_dataset(text), 1)
    assert reader.read(json.dumps({**EXAMPLE, "city": " - "}).encode())[0]["city"] is None
    assert reader.read(json.dumps({**EXAMPLE, "city": "A-B"}).encode())[0]["city"] == "A-B"
    with pytest.raises(InvalidRequest) as refusal:
        reader.read(json.dumps({**EXAMPLE, "state": "-"}).encode())
    assert [each.field for each in refusal.value.problems] == ["state"]


def test_a_boolean_is_true_or_false() -> None:
    """In both decoders. The typed row has its text."""
    text = DATASET.text.replace('name = "status"\ntitle = "Status"\nkind = "category"', BOOLEAN)
    text = text.replace('slices = ["state", "status"]', "").replace('status = "for_sale"', "status = true")
    dataset = parse_dataset(text)
    reader = RequestReader(dataset, 1)
    for sent, typed in ((True, "true"), (False, "false")):
        body = {**dataset.example, "status": sent}
        assert reader.read(json.dumps(body).encode())[0]["status"] == reader.convert(body)[0]["status"] == typed
    with pytest.raises(InvalidRequest) as refusal:
        reader.read(json.dumps({**dataset.example, "status": "for_sale"}).encode())
    assert [each.message for each in refusal.value.problems] == ["'for_sale' is neither true nor false"]


@pytest.mark.parametrize(("item", "shown"), [(3, "3"), ("text", "'text'"), (None, "null"), ([3], "a list")])
def test_an_item_that_is_not_an_object_is_refused(item: object, shown: str) -> None:
    """Not all JSON is a request."""
    message = f"must be an object with the columns, not {shown}"
    assert problems([item]) == [(0, None, message)]
    assert problems([EXAMPLE, item]) == [(1, None, message)]


@pytest.mark.parametrize("items", [[], [EXAMPLE] * 4])
def test_an_empty_or_too_long_list_is_refused(items: object) -> None:
    """A request has 1 to `limit` items."""
    assert problems(items) == []


def test_all_problems_are_listed_up_to_a_limit() -> None:
    """A client sees them at once, but a hostile body does not cause an endless response."""
    assert problems({**EXAMPLE, "bed": "x", "bath": "y", "city": 1}) == [
        (0, "bed", "'x' is no number"),
        (0, "bath", "'y' is no number"),
        (0, "city", "1 is no text"),
    ]
    assert len(problems({f"field{i}": i for i in range(100_000)})) == MAX_PROBLEMS


def test_an_unknown_name_that_is_a_title_names_its_column() -> None:
    """A client may use the header of its file."""
    assert (0, "Living space", "is not known; did you mean house_size?") in problems({**EXAMPLE, "Living space": 1})


def test_a_long_unknown_name_is_cut() -> None:
    """A name of a megabyte is neither sent back nor compared as a whole."""
    ((_, field, _),) = problems({**EXAMPLE, "x" * 1_000_000: 1})
    assert field == "x" * 64


@pytest.mark.parametrize("body", [b"", b"price=1", json.dumps({"data": [EXAMPLE]}).encode()])
def test_a_body_in_another_form_gets_advice(body: bytes) -> None:
    """By `json_body` and `forms`."""
    with pytest.raises((UnreadableBody, InvalidRequest), match="send ") as refusal:
        reader().read(body)
    assert getattr(refusal.value, "problems", []) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"price": None},
        {"bed": 4, "bath": 0, "house_size": 1e308},
        {"house_size": 123456789012345678901234567890, "acre_lot": 5e-324},
        {"city": "x", "state": "x" * 255},
        {"city": " East\u00a0", "state": "Canada\u0303", "status": "x" * 255 + " "},
        {"zip_code": "06016"},
        {"zip_code": " 06016-1234 "},
        {"city": "A: b", "street": 1.0},
        {"city": 'É\u2028"\\\n😀' + chr(0)},
        {"prev_sold_date": "0001-01-01"},
        {"prev_sold_date": "9999-12-31"},
    ],
)
def test_both_decoders_return_the_same_rows(changes: Mapping[str, object]) -> None:
    """However the values are written. A price of None is left out."""
    row = {name: value for name, value in {**EXAMPLE, **changes}.items() if value is not None}
    for items in (row, [row, EXAMPLE]):
        for body in (json.dumps(items).encode(), json.dumps(items, ensure_ascii=False, indent=1).encode()):
            assert reader().read(body) == reader().convert(items)


@pytest.mark.parametrize(
    "items",
    [
        EXAMPLE,
        [EXAMPLE],
        [EXAMPLE] * 3,
        without("price"),
        [without("price"), EXAMPLE],
        {**EXAMPLE, "zip_code": "06016", "city": " Mayag\u00fcez ", "state": "x" * MAX_TEXT},
    ],
)
def test_a_valid_body_is_decoded_in_one_step(items: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other decoder is several times slower."""
    expected, fast = reader().convert(items), reader()
    monkeypatch.setattr(fast, "convert", lambda _decoded: pytest.fail("the body was read again"))
    assert fast.read(json.dumps(items, ensure_ascii=False).encode()) == expected


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
        {"prev_sold_date": "1999-09-30T12:00:00"},
        {"city": ""},
        {"city": " "},
        {"city": "NaN"},
        {"city": "\u0344" * 200},
        {"zip_code": "sixty"},
        {"zip_code": "1,000"},
        {"zip_code": "123456"},
        {"street": "1758218"},
        {"beds": 1},
    ],
)
def test_a_problem_is_named_after_the_fast_decoder_failed(changes: Mapping[str, object]) -> None:
    """The slow decoder explains what the fast one refuses."""
    with pytest.raises(InvalidRequest) as refusal:
        reader().read(json.dumps([EXAMPLE, {**EXAMPLE, **changes}]).encode())
    assert [(problem.item, problem.field) for problem in refusal.value.problems] == [(1, *changes)]


@pytest.mark.parametrize("body", [b"[]", b"[" + b",".join([json.dumps(EXAMPLE).encode()] * 4) + b"]"])
def test_the_number_of_items_is_limited(body: bytes) -> None:
    """Even if each of them is valid."""
    with pytest.raises(InvalidRequest, match=r": the list is empty$|: 4 items; one request may have 3$"):
        reader().read(body)


def test_a_repeated_name_is_found_although_its_values_are_valid() -> None:
    """Otherwise two programs could read two different requests."""
    with pytest.raises(UnreadableBody, match="two values with one name: bed"):
        reader().read(json.dumps(EXAMPLE).encode()[:-1] + b', "bed": 5.0}')


def test_a_column_may_have_any_name() -> None:
    """Even a keyword of Python."""
    text = DATASET.text.replace('"bed"', '"class"').replace("bed = ", "class = ")
    dataset = parse_dataset(text)
    assert RequestReader(dataset, 1).read(json.dumps(dataset.example).encode()) == RequestReader(dataset, 1).convert(
        dataset.example
    )


@pytest.mark.parametrize(
    ("sent", "day"),
    [({}, None), ({"as_of": None}, None), ({"as_of": "2014-06-30"}, date(2014, 6, 30))],
)
def test_with_a_market_an_item_may_have_a_day(
    sent: Mapping[str, object], day: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one step too. It is no column of the row."""
    fast = RequestReader(MARKET, 3)
    monkeypatch.setattr(fast, "convert", lambda _decoded: pytest.fail("the body was read again"))
    for items in ({**EXAMPLE, **sent}, [{**EXAMPLE, **sent}] * 2):
        rows = fast.read(json.dumps(items).encode())
        assert take_as_of(rows) == day
        assert rows[0].keys() == MARKET.by_name.keys()


def test_any_value_of_a_day_is_passed_on() -> None:
    """The served version knows which days are possible."""
    read = RequestReader(MARKET, 3).read
    for value in ("May", 5.0, [1], {"a": 1}, True):
        assert take_as_of(read(json.dumps({**EXAMPLE, "as_of": value}).encode())) == value
