"""Kafka from the shell: which topics there are, and what the events in one say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from veleta.adapters.kafka import KafkaLog
from veleta.errors import Reject, Retry
from veleta.events.envelope import Event, Record, decode
from veleta_local.errors import LocalError

LONGEST = 100
"""Characters of a value that a line shows."""
MOST_ROWS = 30
"""Rows of a list that are shown: all figures of a drift report, a glance at a chunk of rows."""
NOT_RUNNING = "Kafka does not answer: make start first"


def listing(bootstrap: str, topics: Sequence[str]) -> str:
    """Each topic with its records and the last event."""
    log = KafkaLog(bootstrap, "topics")
    lines = [f"{'topic':<28} {'records':>8}  last event"]
    for name in topics:
        bounds = _bounds(log, name)
        count = sum(end - first for first, end in bounds.values())
        last = [r for p, (first, end) in bounds.items() if end > first for r in log.read(name, p, end - 1, end - 1)]
        lines.append(f"{name:<28} {count:>8,}  {', '.join(_title(record) for record in last)}".rstrip())
    return "\n".join(lines)


def tail(bootstrap: str, topic: str, start: int | None, count: int) -> Iterator[str]:
    """The last `count` events of a topic, or `count` from offset `start` on, each as a few lines."""
    if topic not in (known := names(bootstrap)):
        raise LocalError(f"TOPIC={topic}: no such topic; there are {', '.join(known)}")
    log = KafkaLog(bootstrap, "tail")
    for partition, (first, end) in _bounds(log, topic).items():
        begin = max(first, end - count if start is None else start)
        for record in log.read(topic, partition, begin, min(end, begin + count) - 1):
            yield "\n".join([f"{record.offset}  {_title(record)}", *_body(record)])


def names(bootstrap: str) -> list[str]:
    """Every topic but Kafka's own."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5000)
        found = sorted(t["name"] for t in admin.describe_topics() if not t["name"].startswith("__"))
        admin.close()
    except KafkaError as error:
        raise LocalError(NOT_RUNNING) from error
    return found


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
    cells = [keys, *([_short(_plain(row.get(key))) for key in keys] for row in rows[:MOST_ROWS])]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in cells]
    more = [f"… and {len(rows) - MOST_ROWS:,} more"] if len(rows) > MOST_ROWS else []
    return [f"      {line}".rstrip() for line in [*lines, *more]]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"  # noqa: PLR2004 - a million is written out
    return "-" if value in (None, "", [], {}) else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
