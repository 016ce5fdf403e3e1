"""Finds topics by name, counts their records, and reads their last ones."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from veleta.adapters.kafka_clients import Admin, MissingTopics, RefusedByKafka
from veleta.errors import Retry
from veleta.events.envelope import Record
from veleta.ports import EventLog
from veleta.settings import KafkaSettings
from veleta.timeouts import CHECK_SECONDS
from veleta_local.errors import LocalError

_NOT_RUNNING = "Kafka is unreachable: make start first"


@dataclass(frozen=True)
class TopicSummary:
    """A topic with its number of records, and the last record of each partition."""

    name: str
    records: int
    last: Sequence[Record]


def names(kafka: KafkaSettings) -> list[str]:
    """The names of all topics except those of Kafka itself."""
    with local_errors(), closing(Admin(kafka, "topics", CHECK_SECONDS)) as client, client.connected() as admin:
        return sorted(t["name"] for t in admin.describe_topics() if not t["name"].startswith("__"))


def find(name: str, existing: Sequence[str]) -> str:
    """The topic with this name, or with this name after its dataset: `drift` is `real_estate.drift`.

    Raises:
        LocalError: there is none, or there are several. The message has the nearest and all names.
    """
    found = [each for each in existing if name == each] or [each for each in existing if each.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise LocalError(f"TOPIC={name}: several topics have this name; pass one of {', '.join(found)}")
    by_short = {each.rpartition(".")[2]: each for each in existing} | {each: each for each in existing}
    nearest = difflib.get_close_matches(name, by_short, n=1)
    meant = f" (did you mean {by_short[nearest[0]]}?)" if nearest else ""
    raise LocalError(f"TOPIC={name}: no such topic{meant}; there are {', '.join(existing) or 'none'}")


def summary(log: EventLog, topic: str) -> TopicSummary:
    """Count the records of a topic, and read the last ones."""
    with local_errors():
        bounds = log.bounds(topic)
        last = [r for p, (first, end) in bounds.items() if end > first for r in log.read(topic, p, end - 1, end - 1)]
    return TopicSummary(topic, sum(end - first for first, end in bounds.values()), last)


def tail(log: EventLog, topic: str, start: int | None, count: int) -> Iterator[Record]:
    """The last `count` records of each partition of a topic, or `count` records from offset `start`."""
    with local_errors():
        for partition, (lowest, end) in log.bounds(topic).items():
            first = max(lowest, end - count if start is None else start)
            yield from log.read(topic, partition, first, min(end, first + count) - 1)


@contextmanager
def local_errors() -> Iterator[None]:
    """Raise LocalError when something is unavailable: if Kafka is unreachable, the message says what to do."""
    try:
        yield
    except (MissingTopics, RefusedByKafka) as error:
        raise LocalError(str(error)) from error
    except Retry as error:
        raise LocalError(_NOT_RUNNING if error.dependency == "kafka" else str(error)) from error
