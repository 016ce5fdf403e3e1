"""Formats a record as text for people, and as JSON for programs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from veleta.errors import Reject
from veleta.events.envelope import Record, decode, header_texts
from veleta_local.text import aligned

MAX_VALUE = 100
"""Characters of a value in a line."""
MAX_ROWS = 30
"""Rows of a list that are shown: all statistics of a drift report, the first rows of a chunk."""


def as_text(record: Record) -> str:
    """A record as a few lines."""
    return "\n".join([f"{record.offset}  {title(record)}", *_body(record)])


def as_json(record: Record) -> dict[str, Any]:
    """A record as an object: its place, the attributes of CloudEvents without `ce_`, other headers, and `data`."""
    attributes = {name.removeprefix("ce_"): text for name, text in header_texts(record).items()}
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return place | attributes | place | {"data": _data(record.value)}


def title(record: Record) -> str:
    """Time, type and id of the event in a record."""
    try:
        event = decode(record)
    except Reject:
        return f"unreadable, {len(record.value)} bytes"
    return f"{event.time:%Y-%m-%d %H:%M:%S}  {event.type}  {_short(event.id)}"


def _data(value: bytes) -> Any:
    """The value that JSON contains; a value that is not JSON as text."""
    try:
        return json.loads(value)
    except ValueError:
        return value.decode(errors="backslashreplace")


def _body(record: Record) -> list[str]:
    try:
        fields = decode(record).payload.model_dump()
    except Reject:
        return [f"    {_short(record.value.decode(errors='backslashreplace'))}"]
    return [line for name, value in fields.items() for line in _lines(name, value)]


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        yield f"    {name}:"
        yield from _table(value)
        return
    if isinstance(value, Mapping) and not any(isinstance(v, Mapping | list) for v in value.values()):
        value = ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    yield f"    {name}: {_short(_plain(value))}"


def _table(rows: list[Mapping[str, Any]]) -> list[str]:
    keys = list(rows[0])
    cells = [keys, *([_short(_plain(row.get(key))) for key in keys] for row in rows[:MAX_ROWS])]
    more = [f"… and {len(rows) - MAX_ROWS:,} more"] if len(rows) > MAX_ROWS else []
    return [f"      {line}" for line in [*aligned(cells), *more]]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"  # noqa: PLR2004 - above a million without exponent
    return "-" if value in (None, "", [], {}) else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_VALUE else f"{line[:MAX_VALUE]}…"
