"""The intervals of the champion follow the coverage of each batch, on real Kafka, MariaDB and MLflow."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.faulty import kills
from support.http import metric, post
from support.listings import api_rows
from support.models import served_model
from support.testbed import Process, Testbed, wait_until
from support.trainings import ended, request_training
from veleta.adapters.mlflow import MlflowRegistry
from veleta.events.catalogue import IntervalsAdjusted
from veleta.intervals import COVERAGE, AdjustedLevel
from veleta.ports import INTERVAL_LEVEL
from veleta.tables import checkpoints, interval_levels
from veleta.topics import topic

ANSWERS = 20
"""So many answers in a row come from both workers."""


@pytest.fixture(scope="module")
def trainer(testbed: Testbed) -> Iterator[Process]:
    """A trainer that promoted its first version, which learnt batch 1/0. Its first adjustment kills it twice."""
    publish_batch(testbed.log, testbed.dataset, 1, 0, api_rows(4, 600, 1))
    request_training(testbed, 1, 0)
    faults = kills(("trainer.measured", "trainer.adjusted"))
    with testbed.service(
        "trainer", "trainer", faults, work=testbed.folder / "work", trees=20, lease_seconds=1
    ) as process:
        wait_until(lambda: ended(testbed, "1/0"), 60, "the first version")
        yield process


@pytest.fixture(scope="module")
def inference(testbed: Testbed, trainer: Process) -> Iterator[Process]:
    """Two workers that serve the version."""
    with testbed.service("inference", "inference", workers=2, reconcile_seconds=60) as process:
        process.wait_until_ready()
        yield process


def publish(testbed: Testbed, number: int, factor: float) -> None:
    """Publish a batch whose prices are those that the champion learnt, times a factor."""
    target = testbed.dataset.target
    rows = [{**row, target: factor * float(row[target])} for row in api_rows(4, 600, 10 + number)]
    publish_batch(testbed.log, testbed.dataset, 1, number, rows)


def adjustments(testbed: Testbed) -> dict[str, IntervalsAdjusted]:
    """The adjustments in `models`, by the id of the event."""
    events = testbed.events("models")
    return {event.id: event.payload for event in events if isinstance(event.payload, IntervalsAdjusted)}


@pytest.mark.failure("F430")
def test_a_batch_of_other_prices_widens_the_intervals_once(
    testbed: Testbed, trainer: Process, inference: Process
) -> None:
    """Without a training, and although the trainer is killed meanwhile. Event, row, tag and answers have the level."""
    narrow = interval(testbed, inference)
    publish(testbed, 1, factor=1.5)
    trainer.run_until(lambda: adjustments(testbed) and not trainer.faults(), 120, "the adjustment")
    ((event_id, adjusted),) = adjustments(testbed).items()
    name = testbed.dataset.name
    assert event_id == f"{name}/1/1/intervals/1"
    assert 80 < adjusted.rows < 160
    assert adjusted.coverage < 0.5
    assert adjusted.level_before == COVERAGE < adjusted.level
    (row,) = testbed.sql(sa.select(interval_levels))
    assert (row.version, row.epoch, row.number, row.level) == (1, 1, 1, adjusted.level)
    registry = MlflowRegistry(testbed.mlflow_uri, name)

    def tagged() -> bool:
        version = registry.version(1)
        return version is not None and version.tags.get(INTERVAL_LEVEL) == str(AdjustedLevel(1, 1, adjusted.level))

    trainer.run_until(tagged, 60, "the tag")
    assert metric(trainer.url, "veleta_interval_level") == adjusted.level
    wide = answers_after(testbed, inference, narrow)[-1]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert served_model(inference.url)["interval_level"] == adjusted.level


@pytest.mark.failure("F434")
def test_inference_applies_a_level_between_two_requests(testbed: Testbed, trainer: Process, inference: Process) -> None:
    """In all workers. Each answer has the interval of one level. Usual prices make it narrower again."""
    wide = interval(testbed, inference)
    publish(testbed, 2, factor=1)
    seen = answers_after(testbed, inference, wide)
    assert set(seen) == {wide, seen[-1]}
    assert wide[0] < seen[-1][0] < seen[-1][1] < wide[1]


@pytest.mark.failure("F433")
def test_inference_keeps_the_level_over_a_restart(testbed: Testbed, inference: Process) -> None:
    """From the tag of the version: the interval is the same from the first answer on."""
    before = interval(testbed, inference)
    inference.kill()
    inference.start()
    inference.wait_until_ready()
    assert {interval(testbed, inference) for _ in range(ANSWERS)} == {before}


@pytest.mark.failure("F435")
def test_lost_levels_are_restored_from_the_topic(testbed: Testbed, trainer: Process) -> None:
    """By the next trainer, which continues at the last level."""
    rows = testbed.sql(sa.select(interval_levels))
    trainer.kill()
    with testbed.admin.begin() as connection:
        connection.execute(sa.delete(interval_levels))
        connection.execute(sa.delete(checkpoints).where(checkpoints.c.topic == topic(testbed.dataset.name, "models")))
    trainer.start()
    wait_until(lambda: testbed.sql(sa.select(interval_levels)) == rows, 60, "the rows are as before")
    publish(testbed, 3, factor=1)
    wait_until(lambda: len(adjustments(testbed)) == len(rows) + 1, 60, "the next adjustment")
    assert adjustments(testbed)[f"{testbed.dataset.name}/1/3/intervals/1"].level_before == rows[-1].level


def answers_after(testbed: Testbed, inference: Process, before: tuple[float, float]) -> list[tuple[float, float]]:
    """The intervals of answers, until all workers answer with another one."""
    seen: list[tuple[float, float]] = []

    def changed() -> bool:
        seen.append(interval(testbed, inference))
        return len(seen) >= ANSWERS and len({*seen[-ANSWERS:], before}) == 2 and before not in seen[-ANSWERS:]

    wait_until(changed, 60, "the intervals change")
    return seen


def interval(testbed: Testbed, inference: Process) -> tuple[float, float]:
    """The interval of the dataset's example."""
    status, body = post(f"{inference.url}/predict", testbed.dataset.example)
    assert status == 200
    (prediction,) = body["predictions"]
    assert prediction["coverage"] == COVERAGE
    return prediction["low"], prediction["high"]
