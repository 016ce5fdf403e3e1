"""Records as text for people and as JSON for programs."""

import json
from datetime import UTC, datetime

from veleta.events.catalogue import DriftAssessed
from veleta.events.envelope import Event, Record, encode
from veleta_local.record_format import MAX_VALUE, as_json, as_text, title

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
REPORT = DriftAssessed(
    dataset="homes",
    epoch=1,
    number=4,
    previous=3,
    verdict="drift",
    reason="mean " * 40,
    policy="seed",
    threshold=0.15,
    dataset_digest="",
)


def record() -> Record:
    """A drift report at offset 7."""
    message = encode("homes.drift", Event("homes/1/4/assessed", "drift", NOON, REPORT, trace="00-1-2-01"))
    return Record("homes.drift", 0, 7, message.key, message.headers, message.value)


def test_text_has_a_title_and_a_line_for_each_field() -> None:
    """A long value is shortened."""
    head, *lines = as_text(record()).splitlines()
    assert head == f"7  {title(record())}" == "7  2026-01-02 12:00:00  drift.assessed  homes/1/4/assessed"
    assert "    verdict: drift" in lines
    assert max(map(len, lines)) <= len("    reason: ") + MAX_VALUE + 1


def test_json_has_the_place_the_attributes_and_the_whole_payload() -> None:
    """Attributes have the names of CloudEvents."""
    shown = as_json(record())
    assert json.loads(json.dumps(shown)) == shown
    assert {name: shown[name] for name in ("topic", "partition", "offset", "id", "type", "source", "time")} == {
        "topic": "homes.drift",
        "partition": 0,
        "offset": 7,
        "id": "homes/1/4/assessed",
        "type": "drift.assessed",
        "source": "veleta/drift",
        "time": "2026-01-02T12:00:00+00:00",
    }
    assert shown["data"] == REPORT.model_dump()


def test_an_unreadable_record_is_shown_as_it_is() -> None:
    """Bytes that are no text are escaped; a header cannot replace the place."""
    foreign = Record("homes.drift", 0, 7, "", (("offset", b"9"),), b"{\xff")
    assert as_text(foreign) == "7  unreadable, 2 bytes\n    {\\xff"
    assert as_json(foreign) == {"topic": "homes.drift", "partition": 0, "offset": 7, "data": "{\\xff"}
