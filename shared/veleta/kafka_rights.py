"""What each user of Kafka may do. It follows from the declared topics; what is not here is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from veleta.topics import LAG_TOPICS, Topic, declared_topics, topic
from veleta.users import OPERATOR

ANONYMOUS = "ANONYMOUS"
"""Kafka's name for a client without a login. Only the listeners for tools accept one."""
ALL = "*"


@dataclass(frozen=True)
class Right:
    """One right of a user. READ, WRITE and DELETE include DESCRIBE.

    `prefix`: the right is for each name that begins with `name`. `denied`: the user may not do it, although another
    right allows it.
    """

    user: str
    operation: Literal["READ", "WRITE", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS"]
    resource: Literal["TOPIC", "GROUP", "CLUSTER"]
    name: str
    prefix: bool = False
    denied: bool = False


def declared_rights(dataset: str) -> set[Right]:
    """The rights of all users of a deployment."""
    topics = declared_topics(dataset)
    rights = {right for each in topics for right in _rights_to(each)}
    rights |= {Right(OPERATOR, operation, "TOPIC", name) for name in _resent(topics) for operation in ("READ", "WRITE")}
    rights |= {Right("monitor", "DESCRIBE", "TOPIC", each.name) for each in topics}
    for service in LAG_TOPICS:
        rights |= {Right(service, "READ", "GROUP", f"{dataset}.{service}")}
        rights |= {Right("monitor", "DESCRIBE", "GROUP", f"{dataset}.{service}")}
    rights |= {Right("retention", "DELETE", "TOPIC", topic(dataset, "rows"))}
    return rights | set(_anonymous(dataset))


def _rights_to(each: Topic) -> Iterator[Right]:
    yield from (Right(user, "WRITE", "TOPIC", each.name) for user in each.written_by)
    yield from (Right(user, "READ", "TOPIC", each.name) for user in each.read_by)


def _resent(topics: list[Topic]) -> list[str]:
    """The topics to which `make dead RESEND=id` writes: those that are read by a service that writes dead letters."""
    services = {user for each in topics for user in each.written_by if each.name.endswith(".deadletter")}
    return [each.name for each in topics if services & set(each.read_by)]


def _anonymous(dataset: str) -> Iterator[Right]:
    """Reading and describing. A tool may have a consumer group of its own, and none of a service."""
    yield Right(ANONYMOUS, "READ", "TOPIC", ALL)
    yield Right(ANONYMOUS, "DESCRIBE_CONFIGS", "TOPIC", ALL)
    yield Right(ANONYMOUS, "DESCRIBE", "CLUSTER", "kafka-cluster")
    yield Right(ANONYMOUS, "DESCRIBE_CONFIGS", "CLUSTER", "kafka-cluster")
    yield Right(ANONYMOUS, "READ", "GROUP", ALL)
    yield Right(ANONYMOUS, "READ", "GROUP", f"{dataset}.", prefix=True, denied=True)
