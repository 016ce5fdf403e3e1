"""Dead letters as objects for programs."""

import json
from datetime import UTC, datetime

import pytest

from support.twins.shared import MemoryLog
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Event, Message, encode
from veleta_local import dead_letters
from veleta_local.dead_letters import DeadLetters

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
    letters = DeadLetters("", "homes")
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
