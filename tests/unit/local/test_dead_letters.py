"""Dead letters as objects for programs."""

import json
from datetime import UTC, datetime

import pytest

from support.records import missed
from support.testbed import kafka_login
from support.twins.shared import MemoryLog
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Event, Message, encode, header_texts
from veleta.processing.dead_letters import DeadLetters as LoaderLetters
from veleta_local import dead_letters
from veleta_local.dead_letters import DeadLetters
from veleta_local.errors import LocalError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LETTER = RecordDeadlettered(
    service="loader",
    reason="the value is not JSON",
    error="line 1",
    topic="homes.batches",
    partition=0,
    offset=0,
    first_key="",
    headers={},
    value="a long record",
)


def test_an_object_has_the_reason_and_whether_it_was_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the record itself, which `make tail TOPIC=deadletter` shows."""
    log = MemoryLog()
    monkeypatch.setattr(dead_letters, "KafkaLog", lambda *_: log)
    letters = DeadLetters(kafka_login(""), "homes")
    assert list(letters.objects()) == []
    log.publish([encode("homes.deadletter", Event("letter 1", "loader", NOON, LETTER))])
    (shown,) = letters.objects()
    assert json.loads(json.dumps(shown)) == {
        "id": "letter 1",
        "time": "2026-01-02T12:00:00+00:00",
        "resent": False,
        "service": "loader",
        "reason": "the value is not JSON",
        "error": "line 1",
        "topic": "homes.batches",
        "partition": 0,
        "offset": 0,
        "first_key": "",
    }
    log.publish([Message("homes.batches", "", (("ce_id", b"letter 1/resent"),), b"")])
    assert [letter["resent"] for letter in letters.objects()] == [True]


def test_a_record_that_failed_again_is_sent_again_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new dead letter can be sent once. Trace, key and value stay; id, cause and addressee exist once."""
    log = MemoryLog()
    monkeypatch.setattr(MemoryLog, "close", lambda _log: None, raising=False)
    monkeypatch.setattr(dead_letters, "KafkaLog", lambda *_: log)
    letters, failing = DeadLetters(kafka_login(""), "homes"), LoaderLetters("loader", "homes", lambda: NOON)
    log.publish([encode("homes.batches", Event("homes/1/0/missed", "poller", NOON, missed("homes", 0).payload))])
    original = log.topics["homes.batches"][0]
    for offset in (0, 1):
        log.publish([failing.message("again", ValueError("wrong"), log.topics["homes.batches"][offset])])
        letter = f"homes.batches/0/{offset}/dead/loader"
        assert letters.resend(letter) == f"sent again to loader: homes.batches {offset + 1}"
        resent = log.topics["homes.batches"][offset + 1]
        changed = {"ce_id": f"{letter}/resent", "ce_causationid": letter, "ce_to": "loader"}
        assert (resent.key, resent.value) == (original.key, original.value)
        assert header_texts(resent) == {**header_texts(original), **changed}
        assert len(resent.headers) == len(header_texts(resent))
        with pytest.raises(LocalError, match="was sent again before"):
            letters.resend(letter)


@pytest.mark.parametrize("missing", ["deadletter", "batches"])
def test_a_missing_topic_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is up: the message does not say that it is down."""
    log = MemoryLog()
    monkeypatch.setattr(dead_letters, "KafkaLog", lambda *_: log)
    log.publish([encode("homes.deadletter", Event("letter 1", "loader", NOON, LETTER))])
    log.delete_topic(f"homes.{missing}")
    with pytest.raises(LocalError, match=rf"homes\.{missing} does not exist; make start creates it again"):
        list(DeadLetters(kafka_login(""), "homes").listing())
