"""The encoding of events as Kafka records."""

import json
import re
from datetime import UTC, datetime

import pytest

from support.records import missed, record_of
from veleta.errors import Reject
from veleta.events.catalogue import BatchMissed, Statistic
from veleta.events.envelope import Event, Record, caused_event, decode, encode, header_texts, trace_of

TIME = datetime(2026, 3, 2, 12, 30, 1, 250000, tzinfo=UTC)
EVENT = Event(
    "d/1/4/missed", "poller", TIME, BatchMissed(dataset="d", epoch=1, number=4, reason="ñ 🏠"), "d/1/3", "00-a"
)


def record() -> Record:
    return record_of(encode("d.batches", EVENT))


def without(name: str) -> Record:
    whole = record()
    return Record(**{**vars(whole), "headers": tuple(h for h in whole.headers if h[0] != name)})


def with_header(name: str, value: bytes) -> Record:
    other = without(name)
    return Record(**{**vars(other), "headers": (*other.headers, (name, value))})


def with_value(value: bytes) -> Record:
    return Record(**{**vars(record()), "value": value})


def test_headers_are_those_of_cloudevents_in_binary_mode() -> None:
    """Metadata are headers, so tools need not read values."""
    assert header_texts(record()) == {
        "ce_id": "d/1/4/missed",
        "ce_type": "batch.missed",
        "ce_source": "veleta/poller",
        "ce_specversion": "1.0",
        "ce_time": "2026-03-02T12:30:01.250000+00:00",
        "ce_dataschema": "batch.missed/1",
        "content-type": "application/json",
        "ce_causationid": "d/1/3",
        "traceparent": "00-a",
    }


def test_the_value_is_plain_json() -> None:
    """Any tool can read it."""
    assert json.loads(record().value) == {"dataset": "d", "epoch": 1, "number": 4, "reason": "ñ 🏠"}


def test_a_decoded_event_equals_the_encoded_one() -> None:
    """In every field."""
    assert decode(record()) == EVENT


def test_without_cause_and_trace_the_headers_are_left_out() -> None:
    """The first event of a chain has no cause."""
    alone = decode(record_of(encode("d.batches", missed("d", 4))))
    assert (alone.cause, alone.trace) == (None, "")


def test_unknown_keys_and_headers_are_ignored() -> None:
    """So an older reader accepts a newer writer."""
    value = json.dumps({**json.loads(record().value), "colour": "red"}).encode()
    assert decode(with_value(value)) == EVENT
    assert decode(with_header("x-other", b"\xff")) == EVENT


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_time", "ce_dataschema"])
def test_a_missing_header_is_rejected_by_name(name: str) -> None:
    """Each of them is required."""
    with pytest.raises(Reject, match=f"a header is missing: '{name}'"):
        decode(without(name))


@pytest.mark.parametrize(
    ("undecodable", "reason"),
    [
        (with_header("ce_time", b"yesterday"), "ce_time is not a time"),
        (with_header("ce_dataschema", b"batch.missed/99"), "unknown schema"),
        (with_header("ce_dataschema", b"\xff"), "unknown schema"),
        (with_value(b""), "the value is not JSON"),
        (with_value(b"{"), "the value is not JSON"),
        (with_value(b"\xff\x00"), "the value is not JSON"),
        (with_value(b"[" * 5_000), "the value is not JSON"),
        (with_value(b"[]"), "the value does not match batch.missed/1"),
        (with_value(b"null"), "the value does not match batch.missed/1"),
        (with_value(b'{"dataset": "d", "epoch": 1, "number": "four"}'), "the value does not match batch.missed/1"),
        (Record("t", 0, 0, "", (), b""), "a header is missing"),
        (with_header("ce_time", b"0001-01-01T00:00:00+14:00"), "ce_time is not a time"),
        (with_header("ce_id", b"x" * 256), "a header is too long"),
        (with_header("traceparent", b"x" * 256), "a header is too long"),
        (Record(**{**vars(record()), "topic": "other.batches"}), "an event of another dataset"),
    ],
)
def test_a_record_that_cannot_be_decoded_is_rejected(undecodable: Record, reason: str) -> None:
    """With the same short reason for the same fault, so that consecutive ones can be counted. No other error occurs."""
    with pytest.raises(Reject) as caught:
        decode(undecodable)
    assert caught.value.reason == reason


def test_times_are_in_utc() -> None:
    """Tables store no zone, and times without one cannot be compared with others."""
    assert decode(with_header("ce_time", b"2026-03-02T13:30:01.25+01:00")).time == TIME
    assert decode(with_header("ce_time", b"2026-03-02T12:30:01.25")).time.tzinfo is UTC


def test_the_field_that_does_not_fit_is_named() -> None:
    """In the detail, not in the reason."""
    with pytest.raises(
        Reject, match=r"the value does not match batch.missed/1: number: Input should be a valid integer"
    ):
        decode(with_value(b'{"dataset": "d", "epoch": 1, "number": "four", "reason": ""}'))


def test_a_caused_event_has_the_id_and_the_trace_of_its_cause() -> None:
    """So all events that one batch causes have one trace."""
    effect = caused_event(EVENT, "d/1/4/assessed", "drift", TIME, EVENT.payload)
    assert (effect.cause, effect.trace, effect.source) == (EVENT.id, EVENT.trace, "drift")


def test_a_trace_is_derived_from_the_id() -> None:
    """So an event that is published again has the same trace, in the format of W3C."""
    assert trace_of("d/1/4") == trace_of("d/1/4") != trace_of("d/1/5")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace_of("d/1/4"))


def test_numbers_are_exact() -> None:
    """To the last digit, which can decide at a threshold."""
    statistic = Statistic(column="c", statistic="mean", old=0.1 + 0.2, new=1 / 3, change=None, exceeds=False)
    assert Statistic.model_validate_json(json.dumps(statistic.model_dump())) == statistic
