"""One suite for the event log in memory and on Kafka."""

import threading
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from support.records import message
from support.testbed import Testbed, kafka_login, wait_until
from support.twins.shared import MemoryLog
from veleta.adapters import kafka as kafka_module
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.kafka_clients import client_arguments
from veleta.clock import utc_now
from veleta.errors import Reject, Retry
from veleta.events.envelope import Record
from veleta.ports import EventLog, Subscription
from veleta.processing.dead_letters import DeadLetters
from veleta.timeouts import KAFKA_REQUEST_SECONDS
from veleta.topics import MAX_MESSAGE_BYTES, topic
from veleta_prepare.topics import create_topics


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> EventLog:
    """The log under test."""
    if request.param == "memory":
        return MemoryLog()
    testbed: Testbed = request.getfixturevalue("testbed")
    return testbed.log


@pytest.fixture
def dataset(request: pytest.FixtureRequest, log: EventLog) -> str:
    """A dataset whose topics exist and are empty."""
    name = f"t{uuid4().hex[:8]}"
    if isinstance(log, KafkaLog):
        create_topics(request.getfixturevalue("testbed").kafka, name)
    return name


@pytest.fixture
def batches(dataset: str) -> str:
    """An empty topic."""
    return topic(dataset, "batches")


def publish(log: EventLog, name: str, *values: bytes) -> None:
    log.publish([message(name, value=value) for value in values])


def values(records: list[Record]) -> list[bytes]:
    return [record.value for record in records]


def poll(subscription: Subscription, count: int) -> list[Record]:
    """The next `count` records, from as many polls as necessary."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(subscription.poll(0.2))
        return len(records) >= count

    wait_until(enough, what=f"{count} records")
    return records


def test_offsets_count_from_zero_in_the_order_of_publication(log: EventLog, batches: str) -> None:
    """`publish` returns the positions of the records: manifests contain them."""
    first = log.publish([message(batches, value=b"a"), message(batches, value=b"b")])
    second = log.publish([message(batches, value=b"c")])
    assert [*first, *second] == [(0, 0), (0, 1), (0, 2)]
    assert values(list(log.read(batches, 0, 0, 2))) == [b"a", b"b", b"c"]


def test_no_message_can_be_published(log: EventLog) -> None:
    """An empty list is not an error."""
    assert log.publish([]) == []


def test_key_headers_and_value_are_stored_exactly(log: EventLog, batches: str) -> None:
    """Whatever their encoding; the order of headers and duplicate names are preserved."""
    headers = (("b", b"\xff\x00"), ("a", b""), ("b", "ñ".encode()))
    sent = message(batches, "Año/3", b"\x00\xff{not json", headers)
    log.publish([sent])
    (record,) = log.read(batches, 0, 0, 0)
    assert (record.topic, record.partition, record.offset) == (batches, 0, 0)
    assert (record.key, record.headers, record.value) == (sent.key, sent.headers, sent.value)


def test_a_range_includes_both_ends(log: EventLog, batches: str) -> None:
    """Offsets `first` and `last`."""
    publish(log, batches, b"0", b"1", b"2", b"3")
    assert values(list(log.read(batches, 0, 1, 2))) == [b"1", b"2"]
    assert values(list(log.read(batches, 0, 2, 2))) == [b"2"]


def test_a_range_ends_at_the_end_of_the_log(log: EventLog, batches: str) -> None:
    """The reader does not wait for records that do not exist; it must count them."""
    publish(log, batches, b"0", b"1")
    assert values(list(log.read(batches, 0, 1, 9))) == [b"1"]
    assert list(log.read(batches, 0, 5, 9)) == []
    assert list(log.read(batches, 0, 1, 0)) == []


@pytest.mark.failure("F360")
def test_a_partition_that_does_not_exist_has_no_record(log: EventLog, batches: str) -> None:
    """A manifest may name it. It is no outage of Kafka."""
    publish(log, batches, b"0")
    assert list(log.read(batches, 7, 0, 9)) == []


def test_deleted_records_are_skipped(log: EventLog, batches: str, request: pytest.FixtureRequest) -> None:
    """A range that is deleted as a whole has no record; one that is deleted in part has the rest."""
    publish(log, batches, *(str(n).encode() for n in range(6)))
    if isinstance(log, MemoryLog):
        log.delete_before(batches, 0, 4)
    else:
        arguments = client_arguments(request.getfixturevalue("testbed").kafka, "test")
        with closing(KafkaAdminClient(**arguments)) as admin:
            admin.delete_records({TopicPartition(batches, 0): 4})
    assert log.bounds(batches) == {0: (4, 6)}
    assert list(log.read(batches, 0, 1, 3)) == []
    assert values(list(log.read(batches, 0, 2, 4))) == [b"4"]
    assert values(log.subscribe([batches], offsets={(batches, 0): 1}).poll(5)) == [b"4", b"5"]


def test_a_long_range_is_read_completely(log: EventLog, batches: str) -> None:
    """And in order, although it exceeds one fetch."""
    sent = [str(number).encode() for number in range(1_200)]
    publish(log, batches, *sent)
    assert values(list(log.read(batches, 0, 0, len(sent) - 1))) == sent


def test_bounds_are_the_first_and_the_next_offset(log: EventLog, batches: str) -> None:
    """Both are 0 for an empty topic."""
    assert log.bounds(batches) == {0: (0, 0)}
    publish(log, batches, b"a", b"b")
    assert log.bounds(batches) == {0: (0, 2)}


def test_a_subscription_without_offsets_starts_at_the_beginning(log: EventLog, batches: str) -> None:
    """It reads records from before the subscription and later ones."""
    publish(log, batches, b"a")
    subscription = log.subscribe([batches])
    publish(log, batches, b"b")
    assert values(poll(subscription, 2)) == [b"a", b"b"]
    subscription.close()


def test_a_subscription_starts_at_its_offset(log: EventLog, batches: str) -> None:
    """The record at that offset is the first one."""
    publish(log, batches, b"a", b"b", b"c")
    subscription = log.subscribe([batches], offsets={(batches, 0): 2})
    assert values(poll(subscription, 1)) == [b"c"]
    subscription.close()


@pytest.mark.failure("F313")
def test_an_offset_beyond_the_end_is_the_beginning(log: EventLog, batches: str) -> None:
    """It belongs to a topic that was recreated: no record of the new one is skipped."""
    publish(log, batches, b"a")
    subscription = log.subscribe([batches], offsets={(batches, 0): 7})
    publish(log, batches, b"b")
    assert values(poll(subscription, 2)) == [b"a", b"b"]
    subscription.close()


def test_each_topic_is_read_from_its_own_offset(log: EventLog, dataset: str) -> None:
    """In its own order. There is no order between topics."""
    first, second = topic(dataset, "batches"), topic(dataset, "retrain")
    publish(log, first, b"a0", b"a1")
    publish(log, second, b"b0", b"b1")
    subscription = log.subscribe([first, second], offsets={(first, 0): 1})
    records = poll(subscription, 3)
    assert {name: [r.value for r in records if r.topic == name] for name in (first, second)} == {
        first: [b"a1"],
        second: [b"b0", b"b1"],
    }
    subscription.close()


def test_each_subscription_reads_all_records(log: EventLog, batches: str) -> None:
    """Even in one group: the reader assigns the partitions itself."""
    publish(log, batches, b"a")
    for _ in range(2):
        subscription = log.subscribe([batches], "same")
        assert values(poll(subscription, 1)) == [b"a"]
        subscription.close()


def test_polling_an_empty_topic_returns_no_record(log: EventLog, batches: str) -> None:
    """After the timeout."""
    subscription = log.subscribe([batches])
    assert subscription.poll(0.01) == []
    subscription.close()


def test_a_subscription_may_be_closed_twice(log: EventLog, batches: str) -> None:
    """The second call has no effect."""
    subscription = log.subscribe([batches])
    subscription.close()
    subscription.close()


def test_a_message_that_is_too_large_is_rejected(log: EventLog, batches: str) -> None:
    """It is not retried, and the next message can be published."""
    with pytest.raises(Reject, match="too large for its topic"):
        log.publish([message(batches, value=b"x" * (MAX_MESSAGE_BYTES + 1))])
    assert log.publish([message(batches, value=b"y")]) == [(0, 0)]


@pytest.mark.parametrize("byte", [b"x", b'"', b"\x00", b"\xff"], ids=["text", "quotes", "zeros", "no utf-8"])
def test_the_dead_letter_of_the_largest_record_can_be_published(log: EventLog, dataset: str, byte: bytes) -> None:
    """Every record of a topic has a dead letter that fits its topic. Otherwise it would block its consumer."""
    large = Record(topic(dataset, "batches"), 0, 3, "k", (), byte * (MAX_MESSAGE_BYTES - 1000))
    letter = DeadLetters("loader", dataset, utc_now).message("why", ValueError("no"), large)
    assert log.publish([letter]) == [(0, 0)]


Committed = Callable[[str, str], int | None]


@pytest.fixture
def committed(request: pytest.FixtureRequest, log: EventLog) -> Committed:
    """The committed offset of a group, read from the log."""
    if isinstance(log, MemoryLog):
        return lambda group, name: log.committed.get((group, name, 0))
    testbed: Testbed = request.getfixturevalue("testbed")

    def of_kafka(group: str, name: str) -> int | None:
        consumer = KafkaConsumer(**client_arguments(testbed.kafka, "test"), group_id=group, enable_auto_commit=False)
        offset: int | None = consumer.committed(TopicPartition(name, 0))
        consumer.close()
        return offset

    return of_kafka


def test_a_commit_sets_the_offset_of_the_group(log: EventLog, batches: str, committed: Committed) -> None:
    """So tools can show the lag of a service."""
    publish(log, batches, b"a", b"b")
    subscription = log.subscribe([batches], "loader")
    poll(subscription, 2)
    subscription.commit({(batches, 0): 2})
    subscription.close()
    assert committed("loader", batches) == 2
    assert committed("drift", batches) is None


def test_a_commit_does_not_move_a_subscription(log: EventLog, batches: str) -> None:
    """The given offsets define where it starts; the group's offset only shows the lag."""
    publish(log, batches, b"a", b"b")
    before = log.subscribe([batches], "loader")
    before.commit({(batches, 0): 2})
    before.close()
    after = log.subscribe([batches], "loader", offsets={(batches, 0): 1})
    assert values(poll(after, 1)) == [b"b"]
    after.close()


@pytest.mark.failure("F23")
def test_an_unreachable_broker_is_a_retry() -> None:
    """Each call raises it within its timeout; it names kafka, and no thread is left."""
    threads = threading.active_count()
    log = KafkaLog(kafka_login("127.0.0.1:9"), "test", 1.0)
    for call in (
        lambda: log.publish([message("t")]),
        lambda: list(log.read("t", 0, 0, 1)),
        lambda: log.bounds("t"),
        lambda: log.check(["t"]),
        lambda: log.subscribe(["t"]),
    ):
        with pytest.raises(Retry) as caught:
            call()
        assert caught.value.dependency == "kafka"
    assert threading.active_count() == threads


def test_a_missing_topic_is_a_retry(testbed: Testbed) -> None:
    """The job that creates the topics may not have run yet. The topic is not created automatically."""
    name = f"t{uuid4().hex[:8]}.batches"
    with pytest.raises(Retry, match=f"{name} does not exist"):
        testbed.log.bounds(name)
    with pytest.raises(Retry, match=f"{name} does not exist"):
        testbed.log.subscribe([name])


@pytest.fixture
def topics(request: pytest.FixtureRequest, log: EventLog, dataset: str, monkeypatch: pytest.MonkeyPatch) -> "Topics":
    """Deletes and creates topics. A publication that cannot succeed takes a little longer than one request."""
    monkeypatch.setattr(kafka_module, "KAFKA_PUBLISH_SECONDS", KAFKA_REQUEST_SECONDS + 1)
    return Topics(log, dataset, request)


class Topics:
    """The topics of a dataset, as a person deletes and `make start` creates them."""

    def __init__(self, log: EventLog, dataset: str, request: pytest.FixtureRequest) -> None:
        self._log = log
        self._dataset = dataset
        self._kafka = kafka_login("") if isinstance(log, MemoryLog) else request.getfixturevalue("testbed").kafka

    def delete(self, name: str) -> None:
        if isinstance(self._log, MemoryLog):
            self._log.delete_topic(name)
            return
        with closing(KafkaAdminClient(**client_arguments(self._kafka, "test"))) as admin:
            admin.delete_topics([name])

    def create(self, name: str) -> None:
        if isinstance(self._log, MemoryLog):
            self._log.create_topic(name)
        else:
            create_topics(self._kafka, self._dataset)


CALLS: dict[str, Callable[[EventLog, str], object]] = {
    "publish": lambda log, name: log.publish([message(name)]),
    "read": lambda log, name: list(log.read(name, 0, 0, 0)),
    "check": lambda log, name: log.check([name]),
    "bounds": lambda log, name: log.bounds(name),
    "subscribe": lambda log, name: log.subscribe([name]),
}


@pytest.mark.failure("F311")
def test_a_deleted_topic_is_named_by_every_call(log: EventLog, dataset: str, topics: Topics) -> None:
    """Also by those that used it before. They work again when it exists again, on offsets from 0."""
    name, other = topic(dataset, "rows"), topic(dataset, "batches")
    log.check([other, name])
    publish(log, name, b"old", b"older")
    topics.delete(name)
    calls = CALLS | {"check of two": lambda log, name: log.check([other, name])}
    for call in calls.values():
        with pytest.raises(Retry, match=f"^kafka: {name} does not exist; make start creates it again$"):
            call(log, name)
    log.check([other])
    assert log.publish([message(other)]) == [(0, 0)]
    topics.create(name)
    log.check([other, name])
    assert log.publish([message(name, value=b"new")]) == [(0, 0)]
    assert values(list(log.read(name, 0, 0, 5))) == [b"new"]


@pytest.mark.failure("F311", "F313")
def test_a_subscription_reports_that_its_topic_was_deleted(log: EventLog, dataset: str, topics: Topics) -> None:
    """kafka-python would go on without an error. A new subscription reads the recreated topic from its beginning."""
    name, other = topic(dataset, "rows"), topic(dataset, "batches")
    publish(log, name, b"0", b"1", b"2")
    with closing(log.subscribe([name, other])) as subscription:
        poll(subscription, 3)
        topics.delete(name)
        with pytest.raises(Retry, match=f"{name} does not exist"):
            poll(subscription, 1)
    topics.create(name)
    publish(log, name, b"new")
    with closing(log.subscribe([name, other], offsets={(name, 0): 3})) as subscription:
        assert values(poll(subscription, 1)) == [b"new"]
