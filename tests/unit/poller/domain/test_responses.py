"""What a response of the API is parsed to."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchRows
from veleta.events.envelope import Event, encode
from veleta_poller.domain.responses import Batch, EndOfData, InvalidResponse, Response, parse_response

DATASET = load_dataset("real_estate")
ROW: dict[str, Any] = dict(DATASET.example)


def parse(body: object, status: int = 200) -> Response:
    """Parse a response to group 7. Bytes and strings are sent as they are."""
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    return parse_response(status, text if isinstance(text, bytes) else text.encode(), 7, DATASET)


def parse_rows(*rows: object, number: object = 3) -> Response:
    """Parse a batch of these rows."""
    return parse({"group_number": 7, "batch_number": number, "data": list(rows)})


def parse_price(price: str) -> Response:
    """Parse a batch with one price, which is given as JSON."""
    return parse('{"batch_number": 0, "data": [{"price": PRICE}]}'.replace("PRICE", price))


def rows_of(response: Response) -> list[dict[str, Any]]:
    """The rows of a batch."""
    assert isinstance(response, Batch), response
    return response.rows


def test_a_valid_response_is_a_batch() -> None:
    """Its rows are not changed, and there are no findings."""
    other = {**ROW, "price": 7.0}
    response = parse_rows(ROW, other)
    assert rows_of(response) == [ROW, other]
    assert isinstance(response, Batch)
    assert (response.number, response.findings, len(response.digest)) == (3, [], 64)


def test_a_batch_has_the_findings_of_its_columns_and_values() -> None:
    """Duplicate columns, then the schema, then values, then repeated rows."""
    row = {**ROW, " bed": 1.0, "pool": 1, "bath": None}
    response = parse_rows(row, row)
    assert isinstance(response, Batch)
    assert [finding.partition(":")[0] for finding in response.findings] == [
        "columns came twice, the name without spaces counts",
        "unknown columns",
        "nulls",
        "repeated rows",
    ]


@pytest.mark.failure("F27")
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    "detail",
    [
        "Ya se recolectó toda la información mínima necesaria",
        "Ya se recolecto toda la informacion minima necesaria",
        "YA SE RECOLECTÓ TODA LA INFORMACIÓN MÍNIMA NECESARIA.",
        " Ya se recolecto\u0301 toda la informacio\u0301n mi\u0301nima necesaria. ",
    ],
)
def test_the_end_of_the_data_is_recognized_by_its_detail(detail: str, status: int) -> None:
    """Accents, case, the final period and the status may differ."""
    assert parse({"detail": detail}, status) == EndOfData()


@pytest.mark.parametrize("number", [15, "15", " 15", 15.0])
@pytest.mark.parametrize("group", [7, "7", 7.0, None])
def test_whole_numbers_have_one_meaning(number: object, group: object) -> None:
    """A number as text or with a decimal point is the same number. An API may leave the group out."""
    response = parse({"group_number": group, "batch_number": number, "data": [ROW]})
    assert isinstance(response, Batch)
    assert response.number == 15


def test_a_byte_order_mark_is_ignored() -> None:
    """It is no part of the JSON."""
    assert rows_of(parse(b"\xef\xbb\xbf" + json.dumps({"batch_number": 0, "data": [ROW]}).encode())) == [ROW]


@pytest.mark.failure("F07")
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"batch', 200, "GET /data answered 200 OK with JSON that breaks off after 7 bytes"),
        ("{batch}", 200, "GET /data answered 200 OK with a body that is not JSON: Expecting property name"),
        ("", 200, "GET /data answered 200 OK without a body"),
        ("", 204, "GET /data answered 204 No Content without a body"),
        ("[" * 50_000 + "]" * 50_000, 200, "not JSON"),
        (b'{"city": "Mayag\xfcez"}', 200, 'not UTF-8: byte 0xfc at 15, after \'{"city": "Mayag\''),
        (
            "<html>502 Bad Gateway</html>",
            502,
            "GET /data answered 502 Bad Gateway with a web page, not JSON: 502 Bad Gateway",
        ),
        (
            "<!DOCTYPE html><head><title>Log&nbsp;in</title></head>x",
            200,
            "GET /data answered 200 OK with a web page, not JSON: Log in: is API_URL right?",
        ),
        ({"detail": "down"}, 500, "GET /data answered 500 Internal Server Error: down"),
        ("busy", 503, "GET /data answered 503 Service Unavailable: busy"),
        ([], 503, "GET /data answered 503 Service Unavailable: []"),
        ({"detail": "x"}, 599, "GET /data answered 599: x"),
        ({"detail": "Not Found"}, 404, "GET /data answered 404 Not Found: is API_URL right?"),
        ({"error": "no such path"}, 404, 'Not Found: {"error": "no such path"}: is API_URL right?'),
        (
            {"detail": [{"type": "missing", "loc": ["query", "day"], "msg": "Field required"}, 7]},
            422,
            ": query.day: Field required; 7",
        ),
        ({"detail": "All has been collected"}, 400, "All has been collected: is this the end of the data?"),
        ({"batch_number": 1, "data": [ROW]}, 500, "GET /data answered 500"),
        ([1], 200, "GET /data answered 200 OK without batch_number: [1]"),
        ({"detail": 7}, 200, 'without batch_number: {"detail": 7}'),
        ({"error": "maintenance"}, 200, 'without batch_number: {"error": "maintenance"}'),
        ({"data": [ROW]}, 200, "without batch_number"),
        ({"batch_number": "one", "data": [ROW]}, 200, 'batch_number is "one", not a whole number from 0 to 9999'),
        ({"batch_number": 1.5, "data": [ROW]}, 200, "batch_number is 1.5"),
        ({"batch_number": True, "data": [ROW]}, 200, "batch_number is true"),
        ({"batch_number": -1, "data": [ROW]}, 200, "batch_number is -1"),
        ({"batch_number": 1_000_000_000, "data": [ROW]}, 200, "batch_number is 1000000000"),
        ({"batch_number": "x" * 500, "data": [ROW]}, 200, "xxx..., not a whole number"),
        (
            {"group_number": 9, "batch_number": 12, "data": [ROW]},
            200,
            "batch 12 is of group 9, not of group 7: is GROUP_NUMBER right?",
        ),
        ({"batch_number": 1, "rows": []}, 200, "batch 1 has no `data`, only batch_number, rows"),
        ({"batch_number": 1, "data": {"price": [1]}}, 200, 'batch 1 has no list of rows in `data`, but {"price": [1]}'),
        ({"batch_number": 1, "data": None}, 200, "batch 1 has no list of rows in `data`, but null"),
        ({"batch_number": 3, "data": []}, 200, "batch 3 has no rows"),
        ({"batch_number": 1, "data": [ROW, [1.0, "a"]]}, 200, 'row 1 of batch 1 is [1.0, "a"], not an object'),
    ],
)
def test_any_other_response_is_invalid(body: object, status: int, reason: str) -> None:
    """The reason shows what the API answered, in one line."""
    response = parse(body, status)
    assert isinstance(response, InvalidResponse)
    assert reason in response.reason
    assert len(response.reason.splitlines()) == 1


def test_a_reason_is_short() -> None:
    """The batch table has a column for it."""
    response = parse({"detail": "x" * 5_000}, 500)
    assert isinstance(response, InvalidResponse)
    assert len(response.reason) == 200


@pytest.mark.failure("F83")
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775808", -9223372036854775808),
        ("-9223372036854775809", -9223372036854775809.0),
        ("9" * 5_000, "9" * 5_000),
        ("2.50", 2.5),
    ],
)
def test_a_number_that_json_cannot_hold_becomes_a_float_or_text(number: str, expected: object) -> None:
    """The row is published: RAW_DATA stores such a value in `rest`, and cleaning rejects it."""
    response = parse_price(number)
    assert rows_of(response)[0]["price"] == expected
    orjson.dumps(rows_of(response))


def test_a_lone_surrogate_is_replaced() -> None:
    """UTF-8 cannot encode it. A complete pair is not changed."""
    response = parse(r'{"batch_number": 0, "data": [{"city": "a\ud800b", "x": [{"\udfff": "\ud83d\ude00"}]}]}')
    assert rows_of(response) == [{"city": "a\ufffdb", "x": [{"\ufffd": "\U0001f600"}]}]


@pytest.mark.parametrize("depth", [252, 253, 300])
def test_a_row_that_is_nested_too_deeply_is_invalid(depth: int) -> None:
    """It could not be written to a topic, where it is in a list in an object."""
    response = parse_price("[" * depth + "]" * depth)
    assert isinstance(response, InvalidResponse)
    assert "cannot be written" in response.reason


def test_a_row_of_the_greatest_valid_depth_can_be_published() -> None:
    """A valid batch fits an event."""
    response = parse_price("[" * 251 + "]" * 251)
    payload = BatchRows(dataset="d", epoch=1, number=0, chunk=0, first_row=0, rows=rows_of(response))
    assert encode("d.rows", Event("d/1/0/rows/0", "poller", datetime.now(UTC), payload)).value


def test_the_digest_does_not_depend_on_the_order_of_columns() -> None:
    """The same rows in another notation are a repeat."""
    one, other = parse_rows(ROW), parse_rows(dict(reversed(ROW.items())))
    assert isinstance(one, Batch)
    assert isinstance(other, Batch)
    assert one.digest == other.digest
    assert one.digest != getattr(parse_rows({**ROW, "bed": 9.0}), "digest", one.digest)
