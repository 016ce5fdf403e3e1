"""How long a read waits for Kafka, and calls to a broker that does not answer."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from kafka import TopicPartition

from support.proxy import frozen_server
from support.records import message
from support.testbed import free_port, kafka_login
from veleta.adapters import kafka as kafka_module
from veleta.adapters.kafka import KafkaLog, _records_until
from veleta.errors import Retry
from veleta.timeouts import KAFKA_SILENCE_SECONDS

PART = TopicPartition("t", 0)
CALLS: dict[str, Callable[[KafkaLog], object]] = {
    "publish": lambda log: log.publish([message("t")]),
    "read": lambda log: list(log.read("t", 0, 0, 1)),
    "check": lambda log: log.check(["t"]),
    "bounds": lambda log: log.bounds("t"),
    "subscribe": lambda log: log.subscribe(["t"]),
}


class FakeConsumer:
    """Has the records 0 to 2. Each poll returns one, after `delay` seconds of a fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.delay = 0.0
        self.next = 0
        self.silent_from = 3
        monkeypatch.setattr(kafka_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def position(self, part: TopicPartition, timeout_ms: float) -> int:
        assert (part, timeout_ms > 0) == (PART, True)
        return self.next

    def poll(self, timeout_ms: float, max_records: int = 1) -> dict[TopicPartition, list[SimpleNamespace]]:
        if self.next >= self.silent_from:
            self.now += timeout_ms / 1000
            return {}
        self.now += self.delay
        self.next += 1
        return {PART: [SimpleNamespace(topic="t", partition=0, offset=self.next - 1, key=b"", headers=[], value=b"")]}


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    return FakeConsumer(monkeypatch)


@pytest.mark.failure("F225")
def test_a_slow_caller_is_not_a_silent_broker(consumer: FakeConsumer) -> None:
    """However long the caller takes for a record, and whether the next poll returns at once or later."""
    consumer.delay = KAFKA_SILENCE_SECONDS - 1
    read = []
    for record in _records_until(consumer, PART, 2):
        consumer.now += 10 * KAFKA_SILENCE_SECONDS
        read.append(record.offset)
    assert read == [0, 1, 2]


@pytest.mark.failure("F225")
def test_a_caller_that_was_slow_still_waits_its_whole_time(consumer: FakeConsumer) -> None:
    """For the next record, of which nothing arrives. Then it is a Retry, after the time and not much later."""
    consumer.silent_from = 1
    records = _records_until(consumer, PART, 2)
    next(records)
    consumer.now += 10 * KAFKA_SILENCE_SECONDS
    began = consumer.now
    with pytest.raises(Retry, match="no record of t arrived for 20 s"):
        next(records)
    assert KAFKA_SILENCE_SECONDS < consumer.now - began < KAFKA_SILENCE_SECONDS + 2


@pytest.mark.failure("F223")
@pytest.mark.parametrize("user", [None, "loader"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_broker_that_does_not_answer_is_a_retry(call: Callable[[KafkaLog], object], user: str | None) -> None:
    """For every call, with and without a login. No thread is left, so a long outage does not fill the process."""
    threads = threading.active_count()
    with frozen_server() as port:
        log = KafkaLog(kafka_login(f"127.0.0.1:{port}", user), "test", 0.6)
        with pytest.raises(Retry) as caught:
            call(log)
        log.close()
    assert caught.value.dependency == "kafka"
    assert threading.active_count() == threads


@pytest.mark.failure("F321")
def test_a_client_connects_soon_after_an_outage() -> None:
    """The pauses between two attempts do not grow to half a minute: after 3 s the next one would begin at 8 s."""
    port = free_port()
    log = KafkaLog(kafka_login(f"127.0.0.1:{port}"), "test", 8)

    def bounds() -> None:
        with contextlib.suppress(Retry):
            log.bounds("t")

    caller = threading.Thread(target=bounds)
    caller.start()
    time.sleep(3)
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(3.5)
        connection, address = server.accept()
        connection.close()
    assert address[0] == "127.0.0.1"
    caller.join()
    log.close()
