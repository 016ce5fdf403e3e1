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
    """Parse a body. A string is not encoded."""
    return parse_response(status, body if isinstance(body, str) else json.dumps(body), DATASET)


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
    response = parse_rows(ROW, ROW)
    assert rows_of(response) == [ROW, ROW]
    assert isinstance(response, Batch)
    assert (response.number, response.findings, len(response.digest)) == (3, [], 64)


def test_a_batch_has_the_findings_of_its_columns_and_values() -> None:
    """Duplicate columns, then the schema, then values."""
    response = parse_rows({**ROW, " bed": 1.0, "pool": 1, "bath": None})
    assert isinstance(response, Batch)
    assert [finding.partition(":")[0] for finding in response.findings] == [
        "columns came twice, the name without spaces counts",
        "unknown columns",
        "nulls",
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


@pytest.mark.failure("F07")
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("{", 200, "not JSON"),
        ("", 200, "not JSON"),
        ("[" * 100_000, 200, "not JSON"),
        ("<html>", 502, "HTTP 502, not JSON"),
        ({"detail": "down"}, 500, "HTTP 500 down"),
        ([], 503, "HTTP 503"),
        ({"batch_number": 1, "data": [ROW]}, 500, "HTTP 500"),
        ([1], 200, "not an object"),
        ({"detail": 7}, 200, "batch_number is missing or invalid (detail: 7)"),
        ({"data": [ROW]}, 200, "batch_number"),
        ({"batch_number": "1", "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": True, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": -1, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": 1_000_000_000, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": 1}, 200, "data is missing"),
        ({"batch_number": 1, "data": {}}, 200, "data is missing"),
        ({"batch_number": 1, "data": []}, 200, "empty"),
        ({"batch_number": 1, "data": [ROW, 1]}, 200, "a row is not an object"),
    ],
)
def test_any_other_response_is_invalid(body: object, status: int, reason: str) -> None:
    """The reason describes the first fault."""
    response = parse(body, status)
    assert isinstance(response, InvalidResponse)
    assert reason in response.reason


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
