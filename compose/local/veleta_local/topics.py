"""Lists the topics, and the events of a topic, as text."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from veleta.adapters.kafka import KafkaLog
from veleta.errors import Reject, Retry
from veleta.events.envelope import Event, Record, decode
from veleta_local.errors import LocalError
from veleta_local.text import aligned

MAX_VALUE = 100
"""Characters of a value in a line."""
MAX_ROWS = 30
"""Rows of a list that are shown: all statistics of a drift report, the first rows of a chunk."""
NOT_RUNNING = "Kafka is unreachable: make start first"


def listing(bootstrap: str, topics: Sequence[str]) -> str:
    """A table of the topics with the number of records and the last event."""
    log = KafkaLog(bootstrap, "topics")
    rows = [["topic", "records", "last event"]]
    for name in topics:
        bounds = _bounds(log, name)
        count = sum(end - first for first, end in bounds.values())
        last = [r for p, (first, end) in bounds.items() if end > first for r in log.read(name, p, end - 1, end - 1)]
        rows.append([name, f"{count:,}", ", ".join(_title(record) for record in last)])
    return "\n".join(aligned(rows, right={1}))


def tail(bootstrap: str, topic: str, start: int | None, count: int) -> Iterator[str]:
    """The last `count` events of a topic, or `count` events from offset `start`, each as a few lines."""
    if topic not in (existing := names(bootstrap)):
        raise LocalError(f"TOPIC={topic}: no such topic; there are {', '.join(existing)}")
    log = KafkaLog(bootstrap, "tail")
    for partition, (lowest, end) in _bounds(log, topic).items():
        first = max(lowest, end - count if start is None else start)
        for record in log.read(topic, partition, first, min(end, first + count) - 1):
            yield "\n".join([f"{record.offset}  {_title(record)}", *_body(record)])


def names(bootstrap: str) -> list[str]:
    """The names of all topics except those of Kafka itself."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5000)
        with closing(admin):
            return sorted(t["name"] for t in admin.describe_topics() if not t["name"].startswith("__"))
    except KafkaError as error:
        raise LocalError(NOT_RUNNING) from error


def _bounds(log: KafkaLog, topic: str) -> dict[int, tuple[int, int]]:
    try:
        return log.bounds(topic)
    except Retry as error:
        raise LocalError(NOT_RUNNING) from error


def _event(record: Record) -> Event | None:
    try:
        return decode(record)
    except Reject:
        return None


def _title(record: Record) -> str:
    event = _event(record)
    if event is None:
        return f"unreadable, {len(record.value)} bytes"
    return f"{event.time:%Y-%m-%d %H:%M:%S}  {event.type}  {event.id}"


def _body(record: Record) -> list[str]:
    event = _event(record)
    if event is None:
        return [f"    {_short(record.value.decode(errors='backslashreplace'))}"]
    return [line for name, value in event.payload.model_dump().items() for line in _lines(name, value)]


def _lines(name: str, value: Any) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return [f"    {name}:", *_table(value)]
    if isinstance(value, Mapping) and not any(isinstance(v, Mapping | list) for v in value.values()):
        value = ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return [f"    {name}: {_short(_plain(value))}"]


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
