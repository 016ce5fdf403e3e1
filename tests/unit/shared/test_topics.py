"""The topics and the list of who writes and reads them."""

from typing import get_args

from support.house import services
from veleta.events.catalogue import PAYLOADS
from veleta.topics import TopicName, declared_topics, topic


def test_names_carry_the_dataset() -> None:
    """Two deployments can share one cluster."""
    assert topic("real_estate", "batches") == "real_estate.batches"
    assert {t.name for t in declared_topics("cars")} == {topic("cars", name) for name in get_args(TopicName)}


def test_each_event_is_in_one_topic() -> None:
    """Whoever looks for one knows where."""
    types = [payload.TYPE for each in declared_topics("cars") for payload in each.events]
    assert sorted(types) == sorted({payload.TYPE for payload in PAYLOADS.values()})


def test_everything_is_kept_for_ever() -> None:
    """The topics are the truth: neither time nor size takes anything away."""
    for each in declared_topics("cars"):
        assert (each.config["retention.ms"], each.config["retention.bytes"]) == ("-1", "-1")
        assert each.config["cleanup.policy"] == "delete"


def test_batches_have_one_order() -> None:
    """The order of batches is the meaning of `previous`."""
    assert {t.partitions for t in declared_topics("cars") if t.name.endswith("batches")} == {1}


def test_those_who_write_and_read_are_services() -> None:
    """Each topic has at least one of both."""
    for each in declared_topics("cars"):
        for parties in (each.written_by, each.read_by):
            assert set(parties) <= set(services())
            assert parties
