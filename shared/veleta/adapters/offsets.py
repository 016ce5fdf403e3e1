"""Sizes of a dataset's topics and the lag of its consumer groups, read without consuming anything."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from veleta.errors import Retry
from veleta.topics import LAG_TOPICS, declared_topics, topic

TIMEOUT_MS = 5000
Ends = Mapping[TopicPartition, int]
"""By partition: the next offset that will be written. No record is ever deleted, so it is the number of records too."""


@dataclass(frozen=True)
class Offsets:
    """`lags`: by service in LAG_TOPICS, the records that its group has not handled; None if it never committed."""

    ends: Ends
    lags: Mapping[str, int | None]


def read_offsets(bootstrap: str, dataset: str, client: str) -> Offsets:
    """The current offsets. Blocks. Raises Retry if Kafka is unreachable."""
    partitions = [TopicPartition(t.name, number) for t in declared_topics(dataset) for number in range(t.partitions)]
    groups = {service: f"{dataset}.{service}" for service in LAG_TOPICS}
    with _admin(bootstrap, client) as admin:
        latest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        committed = admin.list_group_offsets(list(groups.values()))
    ends = {partition: latest[partition].offset for partition in partitions}
    consumed = {service: topic_ends(topic(dataset, name), ends) for service, name in LAG_TOPICS.items()}
    return Offsets(ends, {service: lag(consumed[service], committed[group]) for service, group in groups.items()})


def topic_ends(name: str, ends: Ends) -> Ends:
    """The ends of one topic's partitions."""
    return {partition: end for partition, end in ends.items() if partition.topic == name}


def lag(ends: Ends, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> int | None:
    """Records that a group has not handled; None if a partition with records has no committed offset."""
    if any(end and partition not in committed for partition, end in ends.items()):
        return None
    return sum(max(0, end - int(committed[partition].offset)) for partition, end in ends.items() if end)


@contextlib.contextmanager
def _admin(bootstrap: str, client: str) -> Iterator[Any]:
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id=client,
            bootstrap_timeout_ms=TIMEOUT_MS,
            request_timeout_ms=TIMEOUT_MS,
        )
        with contextlib.closing(admin):
            yield admin
    except KafkaError as error:
        raise Retry("kafka", error) from error
