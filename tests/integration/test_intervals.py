"""The intervals of the champion follow the coverage of each batch, on real Kafka, MariaDB and MLflow."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.faulty import kills
from support.http import metric
from support.listings import api_rows
from support.testbed import Process, Testbed, wait_until
from support.trainings import ended, request_training
from veleta.adapters.mlflow import MlflowRegistry
from veleta.events.catalogue import IntervalsAdjusted
from veleta.intervals import COVERAGE, AdjustedLevel
from veleta.ports import INTERVAL_LEVEL
from veleta.tables import interval_levels


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


def publish_dearer(testbed: Testbed, number: int, factor: float = 1.5) -> None:
    """Publish a batch whose prices are higher than those that the champion learnt."""
    rows = api_rows(4, 600, 10 + number)
    target = testbed.dataset.target
    publish_batch(
        testbed.log, testbed.dataset, 1, number, [{**row, target: factor * float(row[target])} for row in rows]
    )


def adjustments(testbed: Testbed) -> dict[str, IntervalsAdjusted]:
    """The adjustments in `models`, by the id of the event."""
    events = testbed.events("models")
    return {event.id: event.payload for event in events if isinstance(event.payload, IntervalsAdjusted)}


@pytest.mark.failure("F430")
def test_a_batch_of_other_prices_widens_the_intervals_once(testbed: Testbed, trainer: Process) -> None:
    """Without a training, and although the trainer is killed meanwhile. Event, row and tag have the level."""
    publish_dearer(testbed, 1)
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
