"""Two drift workers at once: one stands by and takes over; one that resumes late changes nothing."""

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from veleta.tables import drift_reports


@pytest.mark.failure("F13")
def test_the_second_worker_takes_over(testbed: Testbed) -> None:
    """After kill -9 of the worker that owns the partition, the other one assesses the next batch, once."""
    with testbed.service("drift", "drift") as one, testbed.service("drift", "drift") as two:
        one.wait_until_ready()
        two.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(0, 100, 1)))
        wait_until(lambda: len(_numbers(testbed)) == 1, 60, "the first verdict")
        for process in (one, two):
            process.kill()
            publish_batch(testbed.log, testbed.dataset, 1, len(_numbers(testbed)), list(api_rows(5, 100, 2)))
            count = len(_numbers(testbed)) + 1
            wait_until(lambda count=count: len(_numbers(testbed)) == count, 60, "a verdict after the kill")  # type: ignore[misc]  # mypy infers no lambda with a default
            process.start()
            process.wait_until_ready()
    assert _numbers(testbed) == [0, 1, 2]
    assert sorted({event.id for event in testbed.events("drift")}) == sorted(
        event.id for event in testbed.events("drift")
    )


@pytest.mark.failure("F110")
def test_a_worker_that_resumes_late_publishes_nothing(testbed: Testbed) -> None:
    """It was frozen with a finished comparison. The other worker's verdict stays and is published once."""
    batch = len(_numbers(testbed))
    with testbed.service("drift", "drift", faults=["processor.prepared 30"]) as sleeper:
        sleeper.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 1, batch, list(api_rows(1, 100, 3)))
        wait_until(lambda: not sleeper.faults(), 30, "it fell asleep")
        with testbed.service("drift", "drift") as other:
            wait_until(lambda: batch in _numbers(testbed), 60, "the other one's verdict")
            sleeper.wait_until_ready(90)
            other.wait_until_ready()
        assessed = [event.id for event in testbed.events("drift") if event.id.endswith(f"/1/{batch}/assessed")]
    assert len(assessed) == 1
    assert _numbers(testbed) == list(range(batch + 1))


def _numbers(testbed: Testbed) -> list[int]:
    return [row.number for row in testbed.sql(sa.select(drift_reports.c.number).order_by(drift_reports.c.number))]
