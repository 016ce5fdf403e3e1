"""The declared topics, with the services that write and read them."""

from typing import get_args

from support.repository import services
from veleta.events.catalogue import PAYLOADS
from veleta.topics import TopicName, declared_topics, topic, topics_of
from veleta.users import OPERATOR


def test_names_begin_with_the_dataset() -> None:
    """So two deployments can share a broker."""
    assert topic("real_estate", "batches") == "real_estate.batches"
    assert {t.name for t in declared_topics("cars")} == {topic("cars", name) for name in get_args(TopicName)}


def test_each_event_is_in_one_topic() -> None:
    """And every event has a topic."""
    types = [payload.TYPE for each in declared_topics("cars") for payload in each.events]
    assert sorted(types) == sorted({payload.TYPE for payload in PAYLOADS.values()})


def test_records_are_never_deleted() -> None:
    """Neither by time nor by size: the topics are the source of truth."""
    for each in declared_topics("cars"):
        assert (each.config["retention.ms"], each.config["retention.bytes"]) == ("-1", "-1")
        assert each.config["cleanup.policy"] == "delete"


def test_batches_have_one_order() -> None:
    """One partition. The order defines the previous batch."""
    assert {t.partitions for t in declared_topics("cars") if t.name.endswith("batches")} == {1}


def test_the_topics_of_a_service_are_those_that_it_writes_or_reads() -> None:
    """A service is not ready without one of them, also without one that it only writes."""
    assert set(topics_of("cars", "inference")) == {"cars.models", "cars.levels", "cars.training", "cars.deadletter"}
    assert set(topics_of("cars", "poller")) == {"cars.batches", "cars.rows", "cars.commands", "cars.deadletter"}


def test_writers_and_readers_are_services_or_people() -> None:
    """Or people. Each topic has at least one writer and one reader."""
    for each in declared_topics("cars"):
        for names in (each.written_by, each.read_by):
            assert set(names) <= {*services(), OPERATOR}
            assert names
