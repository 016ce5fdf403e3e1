"""A person who may write to a topic publishes whatever they like: it costs dead letters, and nothing else."""

from collections.abc import Iterator

import pytest

from support.hostile_records import HostileTopics, hostile_topics
from support.record_batches import MEBIBYTE
from support.testbed import Testbed

MORE_MEMORY = 256 * MEBIBYTE
"""Less than a bomb takes that is decompressed as a whole."""


@pytest.fixture(scope="module")
def hostile(testbed: Testbed) -> Iterator[HostileTopics]:
    with hostile_topics(testbed) as running:
        yield running


@pytest.mark.failure("F358", "F359", "F360", "F361")
def test_hostile_records_cost_no_service_and_no_row(hostile: HostileTopics) -> None:
    """In each topic: wrong types, far numbers, bombs, duplicates, another order, and ids of others.

    Afterwards every service is ready, no consumer group has a lag, the tables are as before, and a batch is processed.
    So it is after a restart, when state is restored from these topics.
    """
    before, memory = hostile.tables(), {name: process.peak_memory for name, process in hostile.processes.items()}
    hostile.wait_until_processed(hostile.attack())
    hostile.check_ready()
    assert hostile.tables() == before
    for name, process in hostile.processes.items():
        assert process.peak_memory - memory[name] < MORE_MEMORY, name
    hostile.fetch(1)
    before = hostile.tables()
    hostile.restart()
    hostile.check_ready()
    assert hostile.tables() == before
    hostile.fetch(2)
