"""Calls to a real Kafka that freezes while a client is connected."""

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from support.proxy import Proxy
from support.records import message
from support.testbed import Testbed
from veleta.adapters import kafka as kafka_module
from veleta.adapters.kafka import KafkaLog
from veleta.errors import Retry
from veleta.topics import topic
from veleta_prepare.topics import create_topics

CALLS: dict[str, Callable[[KafkaLog, str], object]] = {
    "publish": lambda log, name: log.publish([message(name)]),
    "read": lambda log, name: list(log.read(name, 0, 0, 0)),
    "check": lambda log, name: log.check([name]),
    "bounds": lambda log, name: log.bounds(name),
    "subscribe": lambda log, name: log.subscribe([name]).close(),
}


@pytest.fixture
def proxy(testbed: Testbed) -> Iterator[Proxy]:
    made = Proxy(int(testbed.kafka.bootstrap.rpartition(":")[2]), rewrite=True)
    yield made
    made.cut()


@pytest.fixture
def log(testbed: Testbed, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaLog]:
    """A log with short time-outs that reaches Kafka through the proxy."""
    monkeypatch.setattr(kafka_module, "KAFKA_PUBLISH_SECONDS", 3)
    monkeypatch.setattr(kafka_module, "KAFKA_SILENCE_SECONDS", 2)
    monkeypatch.setattr(kafka_module, "KAFKA_REQUEST_SECONDS", 1)
    made = KafkaLog(testbed.kafka.model_copy(update={"bootstrap": f"127.0.0.1:{proxy.port}"}), "test", 1.0)
    yield made
    proxy.thaw()
    made.close()


@pytest.fixture
def name(testbed: Testbed) -> str:
    """A topic with one record."""
    dataset = f"t{uuid4().hex[:8]}"
    create_topics(testbed.kafka, dataset)
    return topic(dataset, "batches")


# kafka-python leaves the socket of a connection to the garbage collector if the call ends while it is being made.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.failure("F223")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_each_call_is_a_retry_and_works_again(
    call: Callable[[KafkaLog, str], object], log: KafkaLog, proxy: Proxy, name: str
) -> None:
    """On connections that worked before."""
    log.publish([message(name)])
    call(log, name)
    proxy.freeze()
    with pytest.raises(Retry) as caught:
        call(log, name)
    assert caught.value.dependency == "kafka"
    proxy.thaw()
    call(log, name)


@pytest.fixture
def full(testbed: Testbed, name: str) -> str:
    """A topic whose records do not fit one answer of the broker. They are published with the usual time-outs."""
    log = KafkaLog(testbed.kafka, "test", 1.0)
    log.publish([message(name, value=os.urandom(4_000_000)) for _ in range(6)])
    log.close()
    return name


@pytest.mark.failure("F223")
def test_a_commit_and_the_rest_of_a_read_are_a_retry(full: str, log: KafkaLog, proxy: Proxy) -> None:
    """A poll returns nothing."""
    subscription = log.subscribe([full], "group")
    subscription.commit({(full, 0): 0})
    records = log.read(full, 0, 0, 5)
    next(records)
    proxy.freeze()
    with pytest.raises(Retry):
        list(records)
    subscription.poll(0.1)
    with pytest.raises(Retry):
        subscription.commit({(full, 0): 1})
    subscription.close()
