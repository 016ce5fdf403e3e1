"""What Kafka knows: the last event of each stage, the lag of each group, and how many dead letters there are."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from veleta.errors import Reject, Retry
from veleta.events.envelope import Record, decode
from veleta.ports import EventLog
from veleta.topics import TopicName, declared, topic
from veleta_monitor.domain.stages import FOLLOWS, Deed, newest

WRITES: Mapping[str, Sequence[TopicName]] = {
    "poller": ("batches",),
    "drift": ("drift", "retrain"),
    "trainer": ("training", "models"),
}
"""The topics of few and small events that a stage writes to."""
TIMEOUT_MS = 5000
Ends = Mapping[TopicPartition, int]
"""By partition: the next offset that will be written. Topics are kept for ever, so it is the number of records too."""


@dataclass(frozen=True)
class Topics:
    """`lags` counts records; None where the group never committed."""

    deeds: Mapping[str, Deed]
    lags: Mapping[str, int | None]
    dead_letters: int


class KafkaReader:
    """Looks at the topics of one dataset. A look asks the broker for offsets, and reads only what is new."""

    def __init__(self, bootstrap: str, log: EventLog, dataset: str) -> None:
        self._bootstrap = bootstrap
        self._log = log
        self._dataset = dataset
        self._places = [TopicPartition(t.name, p) for t in declared(dataset) for p in range(t.partitions)]
        self._last: dict[TopicPartition, tuple[int, Deed]] = {}

    def look(self) -> Topics:
        """All of it. Blocks, must not run twice at a time, and raises Retry when the broker is away."""
        groups = {stage: f"{self._dataset}.{stage}" for stage in FOLLOWS}
        with _admin(self._bootstrap) as admin:
            found = admin.list_partition_offsets(dict.fromkeys(self._places, OffsetSpec.LATEST))
            committed = admin.list_group_offsets(list(groups.values()))
        ends = {place: found[place].offset for place in self._places}
        lags = {stage: lag(self._of(FOLLOWS[stage], ends), committed[group]) for stage, group in groups.items()}
        return Topics(self._deeds(ends), lags, sum(self._of("deadletter", ends).values()))

    def _of(self, name: TopicName, ends: Ends) -> Ends:
        return {place: end for place, end in ends.items() if place.topic == topic(self._dataset, name)}

    def _deeds(self, ends: Ends) -> dict[str, Deed]:
        deeds = {
            stage: [self._deed(place, end) for name in names for place, end in self._of(name, ends).items() if end]
            for stage, names in WRITES.items()
        }
        return {stage: newest(done) for stage, done in deeds.items() if done}

    def _deed(self, place: TopicPartition, end: int) -> Deed:
        """The last event of a partition, read again only when there is a later one."""
        known = self._last.get(place)
        if known is None or known[0] != end:
            records = list(self._log.read(place.topic, place.partition, end - 1, end - 1))
            known = self._last[place] = end, _deed(records[0]) if records else Deed("unknown", "", None)
        return known[1]


def lag(ends: Ends, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> int | None:
    """Records that a group has not handled; None where it committed nothing of what there is."""
    if any(end and place not in committed for place, end in ends.items()):
        return None
    return sum(max(0, end - int(committed[place].offset)) for place, end in ends.items() if end)


def _deed(record: Record) -> Deed:
    try:
        event = decode(record)
    except Reject as error:
        return Deed("unreadable event", str(error), None)
    return Deed(event.type, event.id, event.time)


@contextlib.contextmanager
def _admin(bootstrap: str) -> Iterator[Any]:
    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id="monitor",
            bootstrap_timeout_ms=TIMEOUT_MS,
            request_timeout_ms=TIMEOUT_MS,
        )
        with contextlib.closing(client):
            yield client
    except KafkaError as error:
        raise Retry("kafka", error) from error
