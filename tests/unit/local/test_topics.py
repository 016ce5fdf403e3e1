"""Topics are found by their short names; their last records are read."""

import pytest

from support.twins.shared import MemoryLog
from veleta.adapters.kafka_clients import RefusedByKafka
from veleta.events.envelope import Message
from veleta_local import topics
from veleta_local.errors import LocalError

EXISTING = ["homes.batches", "homes.drift", "homes.training"]


@pytest.mark.parametrize("name", ["homes.drift", "drift"])
def test_a_topic_has_a_short_name(name: str) -> None:
    """The part after the dataset."""
    assert topics.find(name, EXISTING) == "homes.drift"


@pytest.mark.parametrize("name", ["dirft", "homes.drfit", "Drift"])
def test_an_unknown_topic_is_refused_with_the_nearest_and_all_names(name: str) -> None:
    """The user sees what to pass."""
    message = f"TOPIC={name}: no such topic (did you mean homes.drift?); there are {', '.join(EXISTING)}"
    with pytest.raises(LocalError) as refused:
        topics.find(name, EXISTING)
    assert str(refused.value) == message


def test_a_name_that_resembles_none_has_no_nearest() -> None:
    """All names are listed."""
    with pytest.raises(LocalError, match=r"TOPIC=xyz: no such topic; there are homes\.batches, "):
        topics.find("xyz", EXISTING)


def test_a_short_name_of_two_datasets_is_refused() -> None:
    """The full names are listed."""
    with pytest.raises(LocalError, match=r"several topics have this name; pass one of bikes\.drift, homes\.drift"):
        topics.find("drift", ["bikes.drift", *EXISTING])


@pytest.mark.parametrize(("start", "offsets"), [(None, [2, 3]), (1, [1, 2]), (3, [3]), (9, [])])
def test_the_tail_is_the_last_records_or_those_from_an_offset(start: int | None, offsets: list[int]) -> None:
    """Two of four."""
    assert [record.offset for record in topics.tail(log_of(4), "homes.drift", start, 2)] == offsets


def test_a_summary_counts_records_and_has_the_last() -> None:
    """An empty topic has no last record."""
    log = log_of(3)
    summary = topics.summary(log, "homes.drift")
    assert (summary.records, [record.offset for record in summary.last]) == (3, [2])
    assert topics.summary(log, "homes.training") == topics.TopicSummary("homes.training", 0, [])


@pytest.mark.failure("F387")
def test_a_refusal_by_kafka_is_named() -> None:
    """It runs, so `make start` first is no help."""
    with pytest.raises(LocalError, match="the login was refused"), topics.local_errors():
        raise RefusedByKafka("the login was refused")


def log_of(count: int) -> MemoryLog:
    """A log with this many records in homes.drift."""
    log = MemoryLog()
    log.publish([Message("homes.drift", "", (), b"") for _ in range(count)])
    return log
