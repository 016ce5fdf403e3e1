"""Clients of kafka-python with time-outs and TCP keepalive, which close what they opened if no broker answers."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import (
    AuthorizationError,
    Cancelled,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
)
from kafka.net.connection import KafkaConnection

from veleta.adapters.record_batches import bound_batches
from veleta.errors import Reject, Retry
from veleta.settings import KafkaSettings
from veleta.timeouts import KAFKA_RECONNECT_SECONDS, KAFKA_REQUEST_SECONDS, KEEPALIVE
from veleta.users import KAFKA_ADMIN

# It warns at each login that the connection is not encrypted. The connections do not leave the machine.
logging.getLogger("kafka.net.sasl").setLevel(logging.ERROR)


def _is_failure(line: logging.LogRecord) -> bool:
    return not isinstance(line.args, tuple) or not any(isinstance(value, Cancelled) for value in line.args)


# A client that is closed during a request cancels it, and the library logs that as an error.
logging.getLogger("kafka.cluster").addFilter(_is_failure)

bound_batches()
CLOSE_SECONDS = 1.0
"""How long a client may take to close."""
LOGIN_SHARE = 0.2
"""The part of the time of an administrator's first request that is left to find out whether its login is refused."""


def client_arguments(kafka: KafkaSettings, client: str, seconds: float = KAFKA_REQUEST_SECONDS) -> dict[str, Any]:
    """The arguments of every producer, consumer and administrator. `seconds` limit one request."""
    milliseconds = int(seconds * 1000)
    return {
        "bootstrap_servers": kafka.bootstrap,
        **_login(kafka),
        "client_id": client,
        "request_timeout_ms": milliseconds,
        "bootstrap_timeout_ms": milliseconds,
        "reconnect_backoff_max_ms": int(KAFKA_RECONNECT_SECONDS * 1000),
        "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *KEEPALIVE],
    }


def sasl_mechanism(user: str) -> str:
    """How a user logs in. The administrator's login is in the broker's settings, those of others are in its data."""
    return "PLAIN" if user == KAFKA_ADMIN else "SCRAM-SHA-512"


def _login(kafka: KafkaSettings) -> dict[str, str]:
    if not kafka.user:
        return {}
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": sasl_mechanism(kafka.user),
        "sasl_plain_username": kafka.user,
        "sasl_plain_password": kafka.password.get_secret_value(),
    }


@contextlib.contextmanager
def kafka_errors() -> Iterator[None]:
    """Translate errors of Kafka to Retry; a message that is too large to Reject."""
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Reject("too large for its topic", str(error)) from error
    except SaslAuthenticationFailedError as error:
        raise RefusedByKafka(f"the login was refused; make start sets the passwords again: {error}") from error
    except AuthorizationError as error:
        raise RefusedByKafka(f"a right is missing; make start grants the rights again: {error}") from error
    except KafkaError as error:
        raise Retry("kafka", f"{type(error).__name__} {error}".strip()) from error


def described_topics(admin: Any, topics: Collection[str]) -> list[dict[str, Any]]:
    """The descriptions of topics, by one request.

    Raises:
        Retry: one does not exist, or may not be read. Its name is in the reason.
    """
    described: list[dict[str, Any]] = admin.describe_topics(list(topics))
    if refused := [each["name"] for each in described if each["error_code"] == TopicAuthorizationFailedError.errno]:
        raise TopicAuthorizationFailedError(*refused)
    if missing := [each["name"] for each in described if not each["partitions"]]:
        raise MissingTopics(missing)
    return described


class RefusedByKafka(Retry):
    """Kafka answers, and refuses the login or the request of this user."""

    def __init__(self, reason: str) -> None:
        super().__init__("kafka", reason)


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
    """An administrator that closes its thread and sockets too if no broker answers.

    kafka-python 3.0.12 repeats a refused login until its time-out, and reports only that. This one raises the refusal.
    """

    def __init__(self, **config: Any) -> None:
        self._seconds_of_login = LOGIN_SHARE * config["bootstrap_timeout_ms"] / 1000
        try:
            super().__init__(**config | {"bootstrap_timeout_ms": (1 - LOGIN_SHARE) * config["bootstrap_timeout_ms"]})
        except KafkaError:
            try:
                if "sasl_mechanism" in config:
                    self._log_in()
            finally:
                self._closed = False
                self.close()
            raise

    def _log_in(self) -> None:
        """Log in once more. Raises SaslAuthenticationFailedError if the broker refuses it."""
        manager, end = self._manager, time.monotonic() + self._seconds_of_login

        async def log_in() -> None:
            node = manager.cluster.bootstrap_brokers()[0]
            connection = KafkaConnection(self._net, node_id=node.node_id, **manager.config)
            connection.connection_made(await manager._build_transport(node, end))
            with contextlib.closing(connection):
                await connection._get_api_versions(end)
                try:
                    await connection._sasl_authenticate(end)
                except KafkaConnectionError as error:
                    # The library drops an answer that arrives together with the end of its connection.
                    raise SaslAuthenticationFailedError("the broker closed the connection at the login") from error

        with contextlib.suppress(KafkaConnectionError, KafkaTimeoutError):
            manager.run(log_in)


class Admin:
    """An administrator's connection. It is made by the first use, and again after an error."""

    def __init__(self, kafka: KafkaSettings, client: str, seconds: float = KAFKA_REQUEST_SECONDS) -> None:
        """`seconds` limit one request."""
        self._arguments = client_arguments(kafka, client, seconds)
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
