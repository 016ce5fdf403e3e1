"""One suite for the event log on Kafka and for its twin in memory."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition

from support.records import message
from support.world import World, eventually
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.memory import MemoryLog
from veleta.clock import utc_now
from veleta.errors import Reject, Retry
from veleta.events.envelope import Record
from veleta.ports import EventLog, Subscription
from veleta.processing.dead_letters import DeadLetters
from veleta.topics import MAX_MESSAGE_BYTES, topic
from veleta_prepare.topics import make_topics


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> EventLog:
    """The log under test."""
    if request.param == "memory":
        return MemoryLog()
    world: World = request.getfixturevalue("world")
    return world.log


@pytest.fixture
def dataset(request: pytest.FixtureRequest, log: EventLog) -> str:
    """A dataset whose topics are there, and empty."""
    name = f"t{uuid4().hex[:8]}"
    if isinstance(log, KafkaLog):
        make_topics(request.getfixturevalue("world").bootstrap, name)
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
    """The next `count` records, however they are split."""
    found: list[Record] = []

    def enough() -> bool:
        found.extend(subscription.poll(0.2))
        return len(found) >= count

    eventually(enough, 20, f"{count} records")
    return found


def test_offsets_count_from_zero_in_the_order_of_publishing(log: EventLog, batches: str) -> None:
    """The places that `publish` answers are where the records lie: manifests are made of them."""
    first = log.publish([message(batches, value=b"a"), message(batches, value=b"b")])
    second = log.publish([message(batches, value=b"c")])
    assert [*first, *second] == [(0, 0), (0, 1), (0, 2)]
    assert values(list(log.read(batches, 0, 0, 2))) == [b"a", b"b", b"c"]


def test_nothing_to_publish_is_no_fault(log: EventLog) -> None:
    """An empty outbox needs no broker."""
    assert log.publish([]) == []


def test_key_headers_and_bytes_are_kept_exactly(log: EventLog, batches: str) -> None:
    """What is read is what was written: no encoding, no order of headers, no double name is touched."""
    headers = (("b", b"\xff\x00"), ("a", b""), ("b", "ñ".encode()))
    sent = message(batches, "Año/3", b"\x00\xff{not json", headers)
    log.publish([sent])
    (found,) = log.read(batches, 0, 0, 0)
    assert (found.topic, found.partition, found.offset) == (batches, 0, 0)
    assert (found.key, found.headers, found.value) == (sent.key, sent.headers, sent.value)


def test_a_range_has_both_its_ends(log: EventLog, batches: str) -> None:
    """Offsets `first` to `last`, both included."""
    publish(log, batches, b"0", b"1", b"2", b"3")
    assert values(list(log.read(batches, 0, 1, 2))) == [b"1", b"2"]
    assert values(list(log.read(batches, 0, 2, 2))) == [b"2"]


def test_a_range_ends_early_where_the_log_does(log: EventLog, batches: str) -> None:
    """A lost end is an end, not an endless wait: whoever reads sees it by the count."""
    publish(log, batches, b"0", b"1")
    assert values(list(log.read(batches, 0, 1, 9))) == [b"1"]
    assert list(log.read(batches, 0, 5, 9)) == []
    assert list(log.read(batches, 0, 1, 0)) == []


def test_many_records_come_in_one_read(log: EventLog, batches: str) -> None:
    """A range longer than one fetch is complete and in order."""
    sent = [str(number).encode() for number in range(1_200)]
    publish(log, batches, *sent)
    assert values(list(log.read(batches, 0, 0, len(sent) - 1))) == sent


def test_bounds_are_the_first_and_the_next_offset(log: EventLog, batches: str) -> None:
    """An empty topic begins and ends at 0."""
    assert log.bounds(batches) == {0: (0, 0)}
    publish(log, batches, b"a", b"b")
    assert log.bounds(batches) == {0: (0, 2)}


def test_a_subscription_begins_at_the_beginning(log: EventLog, batches: str) -> None:
    """Without a mark nothing is left out, neither what was there before nor what comes after."""
    publish(log, batches, b"a")
    subscription = log.subscribe([batches])
    publish(log, batches, b"b")
    assert values(poll(subscription, 2)) == [b"a", b"b"]
    subscription.close()


def test_a_subscription_begins_at_its_mark(log: EventLog, batches: str) -> None:
    """The mark is the next offset to take."""
    publish(log, batches, b"a", b"b", b"c")
    subscription = log.subscribe([batches], offsets={(batches, 0): 2})
    assert values(poll(subscription, 1)) == [b"c"]
    subscription.close()


def test_a_mark_beyond_the_end_means_the_end(log: EventLog, batches: str) -> None:
    """A log that was made anew is shorter than the mark: what comes next is taken all the same."""
    publish(log, batches, b"a")
    subscription = log.subscribe([batches], offsets={(batches, 0): 7})
    publish(log, batches, b"b")
    assert values(poll(subscription, 1)) == [b"b"]
    subscription.close()


def test_two_topics_are_followed_each_from_its_own_mark(log: EventLog, dataset: str) -> None:
    """Each topic keeps its order; there is none between topics."""
    first, second = topic(dataset, "batches"), topic(dataset, "retrain")
    publish(log, first, b"a0", b"a1")
    publish(log, second, b"b0", b"b1")
    subscription = log.subscribe([first, second], offsets={(first, 0): 1})
    found = poll(subscription, 3)
    assert {name: [r.value for r in found if r.topic == name] for name in (first, second)} == {
        first: [b"a1"],
        second: [b"b0", b"b1"],
    }
    subscription.close()


def test_two_subscriptions_do_not_share_records(log: EventLog, batches: str) -> None:
    """Even of one group: partitions are assigned by the reader itself."""
    publish(log, batches, b"a")
    for _ in range(2):
        subscription = log.subscribe([batches], "same")
        assert values(poll(subscription, 1)) == [b"a"]
        subscription.close()


def test_an_empty_topic_gives_nothing(log: EventLog, batches: str) -> None:
    """Polling waits and comes back empty; that is no fault."""
    subscription = log.subscribe([batches])
    assert subscription.poll(0.01) == []
    subscription.close()


def test_a_subscription_may_be_closed_twice(log: EventLog, batches: str) -> None:
    """Whoever cleans up need not know whether somebody did before."""
    subscription = log.subscribe([batches])
    subscription.close()
    subscription.close()


def test_too_large_is_rejected_and_the_log_goes_on(log: EventLog, batches: str) -> None:
    """No retry makes it smaller; the next message goes its way."""
    with pytest.raises(Reject, match="too large for its topic"):
        log.publish([message(batches, value=b"x" * (MAX_MESSAGE_BYTES + 1))])
    assert log.publish([message(batches, value=b"y")]) == [(0, 0)]


@pytest.mark.parametrize("byte", [b"x", b'"', b"\x00", b"\xff"], ids=["text", "quotes", "zeros", "no utf-8"])
def test_the_dead_letter_of_the_largest_record_can_be_published(log: EventLog, dataset: str, byte: bytes) -> None:
    """Whatever a topic took, its dead letter can be written: else it would stand in the way for ever."""
    large = Record(topic(dataset, "batches"), 0, 3, "k", (), byte * (MAX_MESSAGE_BYTES - 1000))
    letter = DeadLetters("loader", dataset, utc_now).message("why", ValueError("no"), large)
    assert log.publish([letter]) == [(0, 0)]


Committed = Callable[[str, str], int | None]


@pytest.fixture
def committed(request: pytest.FixtureRequest, log: EventLog) -> Committed:
    """How far a group came, as the log itself knows it."""
    if isinstance(log, MemoryLog):
        return lambda group, name: log.committed.get((group, name, 0))
    world: World = request.getfixturevalue("world")

    def of_kafka(group: str, name: str) -> int | None:
        consumer = KafkaConsumer(bootstrap_servers=world.bootstrap, group_id=group, enable_auto_commit=False)
        offset: int | None = consumer.committed(TopicPartition(name, 0))
        consumer.close()
        return offset

    return of_kafka


def test_a_commit_is_the_groups_offset(log: EventLog, batches: str, committed: Committed) -> None:
    """Tools see from outside how far a service came."""
    publish(log, batches, b"a", b"b")
    subscription = log.subscribe([batches], "loader")
    poll(subscription, 2)
    subscription.commit({(batches, 0): 2})
    subscription.close()
    assert committed("loader", batches) == 2
    assert committed("drift", batches) is None


def test_commits_do_not_move_a_subscription(log: EventLog, batches: str) -> None:
    """Marks say where to go on: the group's offset only shows the lag."""
    publish(log, batches, b"a", b"b")
    before = log.subscribe([batches], "loader")
    before.commit({(batches, 0): 2})
    before.close()
    after = log.subscribe([batches], "loader", offsets={(batches, 0): 1})
    assert values(poll(after, 1)) == [b"b"]
    after.close()


@pytest.mark.failure("F23")
def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call says Retry and names kafka, within its time limit, and leaves no thread behind."""
    threads = threading.active_count()
    monkeypatch.setattr("veleta.adapters.kafka.TIMEOUT_SECONDS", 1)
    away = KafkaLog("127.0.0.1:9", "test")
    for call in (
        lambda: away.publish([message("t")]),
        lambda: list(away.read("t", 0, 0, 1)),
        lambda: away.bounds("t"),
        lambda: away.subscribe(["t"]),
    ):
        with pytest.raises(Retry) as caught:
            call()
        assert caught.value.dependency == "kafka"
    assert threading.active_count() == threads


def test_a_topic_that_is_not_there_is_waited_for(world: World) -> None:
    """The job may not have run yet; nothing makes the topic by accident."""
    name = f"t{uuid4().hex[:8]}.batches"
    with pytest.raises(Retry, match="there is no topic"):
        world.log.bounds(name)
    with pytest.raises(Retry, match="there is no topic"):
        world.log.subscribe([name])
