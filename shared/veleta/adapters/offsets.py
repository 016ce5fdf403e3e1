"""How much is in a dataset's topics, and how far its consumer groups are behind: for those who only look on."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from veleta.errors import Retry
from veleta.topics import FOLLOWS, declared, topic

TIMEOUT_MS = 5000
Ends = Mapping[TopicPartition, int]
"""By partition: the next offset that will be written. Topics are kept for ever, so it is the number of records too."""


@dataclass(frozen=True)
class Offsets:
    """`lags`: records that the group of each service in FOLLOWS has not handled; None where it never committed."""

    ends: Ends
    lags: Mapping[str, int | None]


def offsets(bootstrap: str, dataset: str, client: str) -> Offsets:
    """What the broker says now, to `client`. Blocks. Raises Retry when it does not answer."""
    places = [TopicPartition(each.name, part) for each in declared(dataset) for part in range(each.partitions)]
    groups = {service: f"{dataset}.{service}" for service in FOLLOWS}
    with _admin(bootstrap, client) as admin:
        found = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
        committed = admin.list_group_offsets(list(groups.values()))
    ends = {place: found[place].offset for place in places}
    followed = {service: ends_of(topic(dataset, name), ends) for service, name in FOLLOWS.items()}
    return Offsets(ends, {service: lag(followed[service], committed[group]) for service, group in groups.items()})


def ends_of(name: str, ends: Ends) -> Ends:
    """Those of one topic."""
    return {place: end for place, end in ends.items() if place.topic == name}


def lag(ends: Ends, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> int | None:
    """Records that a group has not handled; None where it committed nothing of what there is."""
    if any(end and place not in committed for place, end in ends.items()):
        return None
    return sum(max(0, end - int(committed[place].offset)) for place, end in ends.items() if end)


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
