"""Two drift workers at once: one stands by and takes over; one that resumes late changes nothing."""

import time
from itertools import cycle
from typing import Any

import pytest
import sqlalchemy as sa
from kafka import KafkaAdminClient

from support.batches import publish_batch
from support.drift_models import WITHOUT_RULES
from support.listings import api_rows
from support.replay import drift_rows, replay
from support.testbed import Testbed, wait_until
from support.trainings import ended, request_training, training_rows
from veleta.adapters.kafka_clients import client_arguments
from veleta.adapters.mlflow import MlflowRegistry
from veleta.events.catalogue import DriftAssessed
from veleta.ports import CHAMPION, PREVIOUS
from veleta.tables import SCHEMAS, drift_reports
from veleta.topics import topic

BATCHES, TRAINED = 50, 2
"""The batches of the long test, of which the first ones are learnt by a version each."""
KILL_EVERY, KILL_SECONDS = 4, 3
"""After so many more batches and seconds a worker is killed."""


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """One with which each batch can judge a training."""
    return WITHOUT_RULES


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


@pytest.mark.failure("F13", "F459")
def test_killed_workers_give_the_verdicts_of_an_undisturbed_run(fresh_testbed: Testbed) -> None:
    """Two workers, a kill every few seconds, and all policies measure one champion on 50 batches.

    All rows of all tables equal those of a replay, and those of one worker that was never killed.
    """
    testbed = fresh_testbed
    _train_versions(testbed)
    with testbed.service("drift", "drift") as one, testbed.service("drift", "drift") as two:
        for process in (one, two):
            process.wait_until_ready()
        workers = cycle((one, two))
        for number in range(TRAINED, BATCHES):
            publish_batch(testbed.log, testbed.dataset, 1, number, _rows(number))
            if number % KILL_EVERY == 0:
                time.sleep(KILL_SECONDS)
                worker = next(workers)
                worker.kill()
                worker.start()
        wait_until(lambda: len(_verdicts(testbed)) == BATCHES, 180, "all verdicts are published")
    disturbed, published = drift_rows(testbed), _verdicts(testbed)
    assert len(disturbed["drift_reports"]) == BATCHES
    assert {"drift", "no drift", "not enough data"} == {
        verdict for verdicts in published.values() for verdict in verdicts
    }
    assert len(disturbed["retrain_verdicts"]) == 1
    done = replay(testbed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{BATCHES} batches: {BATCHES} reports")
    assert done.stdout.endswith(": equal\n")
    _forget_reports(testbed)
    with testbed.service("drift", "drift"):
        wait_until(lambda: len(_verdicts(testbed)) == BATCHES, 120, "all verdicts are published again")
    assert drift_rows(testbed) == disturbed
    assert _verdicts(testbed) == published


def _train_versions(testbed: Testbed) -> None:
    """Train a version on the first batch, and one on both. They are the champion and the version before it for good."""
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=50) as trainer:
        trainer.wait_until_ready()
        for number in range(TRAINED):
            publish_batch(testbed.log, testbed.dataset, 1, number, _rows(number))
            request_training(testbed, 1, number)
            wait_until(lambda number=number: ended(testbed, f"1/{number}"), 120, "the training ends")  # type: ignore[misc]  # mypy infers no lambda with a default
    assert {row.state for row in training_rows(testbed).values()} == {"finished"}
    registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
    for alias, version in ((PREVIOUS, 1), (CHAMPION, 2)):
        registry.set_alias(alias, version)


def _rows(number: int) -> list[dict[str, Any]]:
    """Some batches are small, some have other rows, and some have higher prices than the champion expects."""
    rows = list(api_rows(5 if number % 7 == 0 else 0, 60 if number % 5 == 4 else 400, number))
    return [{**row, "price": 1.2 * float(row["price"])} for row in rows] if number % 6 == 5 else rows


def _verdicts(testbed: Testbed) -> dict[str, set[str]]:
    """The verdicts of all policies in the events on each batch. An event may be published twice."""
    found = dict[str, set[str]]()
    for event in testbed.events("drift"):
        if isinstance(event.payload, DriftAssessed):
            verdicts: set[str] = {each.verdict for each in event.payload.verdicts}
            assert found.setdefault(event.id, verdicts) == verdicts
    return found


def _forget_reports(testbed: Testbed) -> None:
    """Delete the tables and the topics that drift writes: the next worker begins with the first batch."""
    with testbed.admin.begin() as connection:
        for name in SCHEMAS:
            connection.exec_driver_sql(f"DROP DATABASE `{testbed.prefix}{name}`")
    deleted = [topic(testbed.dataset.name, "drift"), topic(testbed.dataset.name, "retrain")]
    admin = KafkaAdminClient(**client_arguments(testbed.kafka, "test"))
    admin.delete_topics(deleted)
    wait_until(lambda: not any(each["name"] in deleted for each in admin.describe_topics()), 30, "they are deleted")
    admin.close()
    assert testbed.prepare().returncode == 0
