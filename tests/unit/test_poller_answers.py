"""What an answer of the API is."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchRows
from veleta.events.envelope import Event, encode
from veleta_poller.domain.answers import Answer, Batch, End, Refused, parse

DATASET = load_dataset("real_estate")
ROW: dict[str, Any] = dict(DATASET.example)


def answered(body: object, status: int = 200) -> Answer:
    """What this body is; a string is sent as it stands."""
    return parse(status, body if isinstance(body, str) else json.dumps(body), DATASET)


def batch(*rows: object, number: object = 3) -> Answer:
    """What a batch of these rows is."""
    return answered({"group_number": 7, "batch_number": number, "data": list(rows)})


def priced(price: str) -> Answer:
    """What a batch is whose one price is written so."""
    return answered('{"batch_number": 0, "data": [{"price": PRICE}]}'.replace("PRICE", price))


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """The rows of what must be a batch."""
    assert isinstance(answer, Batch), answer
    return answer.rows


def findings_of(answer: Answer) -> list[str]:
    """The findings of what must be a batch."""
    assert isinstance(answer, Batch), answer
    return answer.findings


def test_a_good_answer_is_a_batch_without_findings() -> None:
    """Its rows go on as they came."""
    answer = batch(ROW, ROW)
    assert rows_of(answer) == [ROW, ROW]
    assert isinstance(answer, Batch)
    assert (answer.number, answer.findings, len(answer.digest)) == (3, [], 64)


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
def test_the_end_is_known_by_its_detail(detail: str, status: int) -> None:
    """Accents, case, the final period and the status were seen to differ."""
    assert answered({"detail": detail}, status) == End()


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
        ([1], 200, "no object"),
        ({"detail": 7}, 200, "batch_number is missing or no number of a batch (detail: 7)"),
        ({"data": [ROW]}, 200, "batch_number"),
        ({"batch_number": "1", "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": True, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": -1, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": 1_000_000_000, "data": [ROW]}, 200, "batch_number"),
        ({"batch_number": 1}, 200, "data is missing"),
        ({"batch_number": 1, "data": {}}, 200, "data is missing"),
        ({"batch_number": 1, "data": []}, 200, "empty"),
        ({"batch_number": 1, "data": [ROW, 1]}, 200, "a row is no object"),
    ],
)
def test_what_is_no_batch_is_refused_with_its_reason(body: object, status: int, reason: str) -> None:
    """The next answer's number tells what became of the batch."""
    answer = answered(body, status)
    assert isinstance(answer, Refused)
    assert reason in answer.reason


def test_a_reason_is_short() -> None:
    """It stands in the ledger."""
    answer = answered({"detail": "x" * 5_000}, 500)
    assert isinstance(answer, Refused)
    assert len(answer.reason) == 200


@pytest.mark.parametrize(
    ("number", "kept"),
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
def test_a_number_that_json_cannot_hold_goes_on_as_a_float_or_as_text(number: str, kept: object) -> None:
    """The row goes through: RAW keeps what does not fit in `rest`, CLEAN rejects it."""
    answer = priced(number)
    assert rows_of(answer)[0]["price"] == kept
    orjson.dumps(rows_of(answer))


def test_half_a_surrogate_pair_is_replaced() -> None:
    """UTF-8 cannot hold it; a whole pair stays."""
    answer = answered(r'{"batch_number": 0, "data": [{"city": "a\ud800b", "x": [{"\udfff": "\ud83d\ude00"}]}]}')
    assert rows_of(answer) == [{"city": "a\ufffdb", "x": [{"\ufffd": "\U0001f600"}]}]


@pytest.mark.parametrize("depth", [252, 253, 300])
def test_a_row_nested_too_deeply_is_refused(depth: int) -> None:
    """It could not be written to a topic, where it lies in a list in an object."""
    answer = priced("[" * depth + "]" * depth)
    assert isinstance(answer, Refused)
    assert "cannot be written" in answer.reason


def test_a_row_that_is_just_not_too_deep_can_be_published() -> None:
    """What is taken for a batch fits an event."""
    answer = priced("[" * 251 + "]" * 251)
    payload = BatchRows(dataset="d", epoch=1, number=0, chunk=0, first_row=0, rows=rows_of(answer))
    assert encode("d.rows", Event("d/1/0/rows/0", "poller", datetime.now(UTC), payload)).value


def test_spaces_around_keys_are_taken_away_silently() -> None:
    """The seed's code writes " brokered_by"."""
    spaced = {(" brokered_by" if key == "brokered_by" else key): value for key, value in ROW.items()}
    answer = batch(spaced)
    assert rows_of(answer) == [ROW]
    assert findings_of(answer) == []


def test_the_plain_key_wins_over_one_with_spaces() -> None:
    """Two keys that become one are a finding."""
    for row in ({" price": 1, **ROW}, {**ROW, "price ": 1}):
        answer = batch(row)
        assert rows_of(answer)[0]["price"] == ROW["price"]
        assert any("came twice" in finding and "'price' (1 rows)" in finding for finding in findings_of(answer))


@pytest.mark.failure("F07", "F26")
def test_unknown_and_missing_columns_are_findings() -> None:
    """The rows go through, and the ledger says what was odd."""
    without = {key: value for key, value in ROW.items() if key != "bath"}
    assert findings_of(batch(ROW, {**ROW, "pool": 1}, without)) == [
        "unknown columns: 'pool' (1 rows)",
        "missing columns: 'bath' (1 rows)",
    ]


def test_another_order_of_columns_is_a_finding() -> None:
    """Missing and unknown ones do not count as another order."""
    assert findings_of(batch(dict(reversed(ROW.items())), ROW)) == ["columns in another order (1 rows)"]
    assert findings_of(batch({"pool": 1, **ROW})) == ["unknown columns: 'pool' (1 rows)"]


def test_findings_stay_short_whatever_came() -> None:
    """A thousand invented columns are counted, not listed."""
    [finding] = findings_of(batch(*({**ROW, f"{i}" + "x" * 500: 1} for i in range(1_000))))
    assert finding.endswith("and 995 more")
    assert len(finding) < 400


def test_the_digest_does_not_depend_on_the_order_of_columns() -> None:
    """The same rows are a repeat, however they are written."""
    one, other = batch(ROW), batch(dict(reversed(ROW.items())))
    assert isinstance(one, Batch)
    assert isinstance(other, Batch)
    assert one.digest == other.digest
    assert one.digest != getattr(batch({**ROW, "bed": 9.0}), "digest", one.digest)


def test_values_that_fit_no_column_are_findings() -> None:
    """Nulls, and whatever is not of its column's kind: they are counted by column, and go on as they are."""
    number, date = (next(c.name for c in DATASET.columns if c.kind == kind) for kind in ("number", "date"))
    answer = answered({"batch_number": 1, "data": [{**ROW, number: None, date: "soon"}, {**ROW, number: "many"}]}, 200)
    assert isinstance(answer, Batch)
    assert answer.findings == [
        f"nulls: '{number}' (1 rows)",
        f"values that do not fit: '{number}' (1 rows), '{date}' (1 rows)",
    ]
