"""Clients of kafka-python with time-outs and TCP keepalive, which close what they opened if no broker answers."""

import contextlib
import socket
import threading
from collections.abc import Collection, Iterator
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from veleta.adapters.record_batches import bound_batches
from veleta.errors import Reject, Retry
from veleta.timeouts import KAFKA_RECONNECT_SECONDS, KAFKA_REQUEST_SECONDS, KEEPALIVE

bound_batches()
CLOSE_SECONDS = 1.0
"""How long a client may take to close."""


def client_arguments(bootstrap: str, client: str, seconds: float = KAFKA_REQUEST_SECONDS) -> dict[str, Any]:
    """The arguments of every producer, consumer and administrator. `seconds` limit one request."""
    milliseconds = int(seconds * 1000)
    return {
        "bootstrap_servers": bootstrap,
        "client_id": client,
        "request_timeout_ms": milliseconds,
        "bootstrap_timeout_ms": milliseconds,
        "reconnect_backoff_max_ms": int(KAFKA_RECONNECT_SECONDS * 1000),
        "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *KEEPALIVE],
    }


@contextlib.contextmanager
def kafka_errors() -> Iterator[None]:
    """Translate errors of Kafka to Retry; a message that is too large to Reject."""
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Reject("too large for its topic", str(error)) from error
    except KafkaError as error:
        raise Retry("kafka", f"{type(error).__name__} {error}".strip()) from error


def described_topics(admin: Any, topics: Collection[str]) -> list[dict[str, Any]]:
    """The descriptions of topics, by one request. Raises Retry if one does not exist; its name is in the reason."""
    described: list[dict[str, Any]] = admin.describe_topics(list(topics))
    if missing := [each["name"] for each in described if not each["partitions"]]:
        raise MissingTopics(missing)
    return described


class MissingTopics(Retry):
    """Kafka answers, and topics do not exist. The message names at most three."""

    def __init__(self, names: Collection[str]) -> None:
        first = ", ".join(sorted(names)[:3])
        more = f" and {len(names) - 3} more topics" if len(names) > 3 else ""  # noqa: PLR2004 - as many as above
        do, them = ("does", "it") if len(names) == 1 else ("do", "them")
        super().__init__("kafka", f"{first}{more} {do} not exist; make start creates {them} again")


class Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """A consumer. kafka-python 3.0.12 leaves a thread and sockets open if no broker answers; this one does not."""

    def __init__(self, **config: Any) -> None:
        try:
            super().__init__(**config)
        except KafkaError:
            self._client.close()
            raise

    def unknown_topics(self) -> set[str]:
        """The topics of its partitions that the last metadata of the cluster did not have."""
        names = {partition.topic for partition in self.assignment()}
        return {name for name in names if self._cluster.partitions_for_topic(name) is None}


class Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """A producer that drops at its close what it cannot send. kafka-python 3.0.12 would stay open and send it later."""

    def close(self, *arguments: Any, **options: Any) -> None:
        """Close. A message that the broker does not take, as of a deleted topic, is not published afterwards."""
        try:
            super().close(*arguments, **options)
        except KafkaError:
            self._sender.force_close()
            self._sender.join(CLOSE_SECONDS)
            super().close(*arguments, **options)


class _AdminClient(KafkaAdminClient):  # type: ignore[misc]  # kafka-python has no types
    """An administrator that closes its thread and sockets too if no broker answers."""

    def __init__(self, **config: Any) -> None:
        try:
            super().__init__(**config)
        except KafkaError:
            self._closed = False
            self.close()
            raise


class Admin:
    """An administrator's connection. It is made by the first use, and again after an error."""

    def __init__(self, bootstrap: str, client: str, seconds: float = KAFKA_REQUEST_SECONDS) -> None:
        """`seconds` limit one request."""
        self._arguments = client_arguments(bootstrap, client, seconds)
        self._lock = threading.Lock()
        self._client: Any = None

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        """The administrator, for one thread at a time. Errors of Kafka become Retry, and close the connection."""
        with self._lock, kafka_errors():
            try:
                self._client = self._client or _AdminClient(**self._arguments)
                yield self._client
            except KafkaError:
                self._close()
                raise

    def close(self) -> None:
        """Close the connection; the next use makes another one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
