"""Two drift workers at once: one stands by and takes over; one that resumes late changes nothing."""

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.world import World, eventually
from veleta.tables import drift_reports


@pytest.mark.failure("F13")
def test_the_second_worker_takes_over(world: World) -> None:
    """After kill -9 of the worker that owns the partition, the other one assesses the next batch, once."""
    with world.service("drift", "drift") as one, world.service("drift", "drift") as two:
        one.ready()
        two.ready()
        publish_batch(world.log, world.dataset, 1, 0, list(api_rows(0, 100, 1)))
        eventually(lambda: len(_numbers(world)) == 1, 60, "the first verdict")
        for process in (one, two):
            process.kill()
            publish_batch(world.log, world.dataset, 1, len(_numbers(world)), list(api_rows(5, 100, 2)))
            count = len(_numbers(world)) + 1
            eventually(lambda count=count: len(_numbers(world)) == count, 60, "a verdict after the kill")  # type: ignore[misc]  # mypy infers no lambda with a default
            process.start()
            process.ready()
    assert _numbers(world) == [0, 1, 2]
    assert sorted({event.id for event in world.events("drift")}) == sorted(event.id for event in world.events("drift"))


@pytest.mark.failure("F110")
def test_a_worker_that_resumes_late_publishes_nothing(world: World) -> None:
    """It was frozen with a finished comparison. The other worker's verdict stays and is published once."""
    batch = len(_numbers(world))
    with world.service("drift", "drift", faults=["processor.prepared 30"]) as sleeper:
        sleeper.ready()
        publish_batch(world.log, world.dataset, 1, batch, list(api_rows(1, 100, 3)))
        eventually(lambda: not sleeper.faults(), 30, "it fell asleep")
        with world.service("drift", "drift") as other:
            eventually(lambda: batch in _numbers(world), 60, "the other one's verdict")
            sleeper.ready(90)
            other.ready()
        told = [event.id for event in world.events("drift") if event.id.endswith(f"/1/{batch}/assessed")]
    assert len(told) == 1
    assert _numbers(world) == list(range(batch + 1))


def _numbers(world: World) -> list[int]:
    return [row.number for row in world.sql(sa.select(drift_reports.c.number).order_by(drift_reports.c.number))]
