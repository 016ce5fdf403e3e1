"""Sizes of a dataset's topics and the lag of its consumer groups, read without consuming anything."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.structs import OffsetAndMetadata

from veleta.adapters.kafka_clients import Admin, described_topics
from veleta.topics import LAG_TOPICS, declared_topics, topic

Ends = Mapping[TopicPartition, int]
"""By partition: the next offset that will be written: the number of records, with those of `rows` that were deleted."""


@dataclass(frozen=True)
class Offsets:
    """`lags`: by service in LAG_TOPICS, the records that its group has not handled; None if it never committed."""

    ends: Ends
    lags: Mapping[str, int | None]


def read_offsets(connection: Admin, dataset: str) -> Offsets:
    """The current offsets. Blocks. Raises Retry if Kafka is unreachable or a topic does not exist."""
    partitions = [TopicPartition(t.name, number) for t in declared_topics(dataset) for number in range(t.partitions)]
    groups = {service: f"{dataset}.{service}" for service in LAG_TOPICS}
    with connection.connected() as admin:
        described_topics(admin, {partition.topic for partition in partitions})
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
