"""The level of the champion's intervals follows the coverage of each batch, once."""

import asyncio
from collections.abc import Callable
from datetime import date

import pytest

from support.batches import publish_batch
from support.listings import api_rows
from support.trainer import DATASET, Killed, TrainerHarness, request
from veleta.batches import read_events
from veleta.errors import Reject, Retry
from veleta.events.catalogue import IntervalsAdjusted, LevelUpdated, Rollback
from veleta.events.envelope import Event
from veleta.intervals import COVERAGE, AdjustedLevel
from veleta.market_levels import history_of
from veleta.ports import INTERVAL_LEVEL
from veleta_trainer import interval_adjuster
from veleta_trainer.domain.interval_level import MIN_ROWS, BatchMeasures
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.interval_adjuster import NEWEST_BATCHES


def level_of_month(number: int, month: int, value: float) -> LevelUpdated:
    """What batch 1/`number` did to the level of version 1."""
    first = date(2026, month, 1)
    return LevelUpdated(
        model=DATASET.name, version=1, run_id="run-1", seq=number, period=first, as_of=first, value=value, error=0.005,
        rows=9, outcome="moved", reason="", cause=f"b/{number}", epoch=1, number=number,
    )  # fmt: skip


@pytest.fixture
async def harness() -> TrainerHarness:
    """A trainer whose champion learnt batch 1/0. The batches 1/1 and 1/2 closed after it."""
    harness = TrainerHarness(50.0, 40.0)
    await harness.add_request(request(0))
    await harness.finish()
    return harness


def adjustments(harness: TrainerHarness) -> list[Event]:
    """The events in `models`."""
    events = read_events(harness.log, DATASET.name, "models")
    return [event for event in events if isinstance(event.payload, IntervalsAdjusted)]


def publish(harness: TrainerHarness, number: int) -> None:
    publish_batch(harness.log, DATASET, 1, number, api_rows(0, 30, number))


def tag(harness: TrainerHarness, version: int) -> AdjustedLevel | None:
    """The level in the tag of a version."""
    registered = harness.registry.version(version)
    return AdjustedLevel.of_tag(registered.tags.get(INTERVAL_LEVEL, "")) if registered else None


async def test_each_batch_after_the_training_adjusts_the_level_once(harness: TrainerHarness) -> None:
    """Its row, its event and the tag agree. A batch is measured at the level after the one before."""
    for _ in range(2):
        await harness.adjust_intervals()
    assert harness.measurer.measured == [(1, "real_estate/1/1", 0.8), (1, "real_estate/1/2", 0.85)]
    assert [(row.number, row.level_before, row.level) for row in harness.interval_levels] == [
        (1, 0.8, 0.85),
        (2, 0.85, 0.9),
    ]
    first, second = adjustments(harness)
    assert (first.id, first.cause) == ("real_estate/1/1/intervals/1", "real_estate/1/1/closed")
    assert second.payload == IntervalsAdjusted(
        model="real_estate", version=1, run_id="run-1", epoch=1, number=2,
        rows=200, coverage=0.7, level_before=0.85, level=0.9,
    )  # fmt: skip
    assert tag(harness, 1) == AdjustedLevel(1, 2, 0.9)


@pytest.mark.failure("F430")
async def test_a_batch_is_measured_with_the_level_of_the_market_before_it(harness: TrainerHarness) -> None:
    """Its own update would cover too much. The next training compares the champion with all of them."""
    july, august = (level_of_month(number, month, value) for number, month, value in ((1, 7, 0.02), (2, 8, 0.05)))
    harness.transactions.committed.market_levels.updates += [july, august]
    await harness.adjust_intervals()
    assert harness.measurer.history == history_of([july])
    await harness.add_request(request(2))
    await harness.finish()
    recipe = Recipe.model_validate(harness.row(request(2))["recipe"])
    assert recipe.champion_levels == history_of([july, august])
    assert recipe.champion_levels.periods[date(2026, 8, 1)].value == 0.05


@pytest.mark.parametrize("place", ["trainer.measured", "trainer.adjusted", "outbox.published"])
async def test_a_kill_at_each_place_gives_one_adjustment_of_a_batch(
    harness: TrainerHarness, place: str, kill_at: Callable[[str], list[str]]
) -> None:
    """The next trainer completes what is missing: the row, the event or the tag."""
    killed = kill_at(place)
    with pytest.raises(Killed):
        await harness.adjust_intervals()
    assert killed
    await harness.adjust_intervals()
    assert [row.level for row in harness.interval_levels] == [0.85, 0.9]
    assert [*dict.fromkeys(event.id for event in adjustments(harness))] == [
        "real_estate/1/1/intervals/1",
        "real_estate/1/2/intervals/1",
    ]
    assert tag(harness, 1) == AdjustedLevel(1, 2, 0.9)


async def test_only_the_newest_batches_are_measured(harness: TrainerHarness) -> None:
    """After a long outage too: the level follows the present data. A new epoch begins with its own batches."""
    for number in range(3, 9):
        publish(harness, number)
    await harness.adjust_intervals()
    assert [row.number for row in harness.interval_levels] == [*range(9 - NEWEST_BATCHES, 9)]
    publish_batch(harness.log, DATASET, 2, 0, api_rows(0, 30, 9))
    await harness.adjust_intervals()
    assert (harness.interval_levels[-1].epoch, harness.interval_levels[-1].number) == (2, 0)


async def test_each_version_has_its_own_level(harness: TrainerHarness) -> None:
    """A new one has that of its calibration. After a rollback a version continues with its last level."""
    await harness.adjust_intervals()
    await harness.add_request(request(2))
    await harness.finish()
    publish(harness, 3)
    await harness.adjust_intervals()
    assert harness.measurer.measured[-1] == (2, "real_estate/1/3", COVERAGE)
    await harness.obey(Rollback(dataset=DATASET.name, actor="ana"))
    publish(harness, 4)
    await harness.adjust_intervals()
    assert harness.measurer.measured[-2:] == [(1, "real_estate/1/3", 0.9), (1, "real_estate/1/4", 0.95)]
    assert tag(harness, 2) == AdjustedLevel(1, 3, 0.85)


@pytest.mark.failure("F431")
@pytest.mark.parametrize(
    "measures",
    [BatchMeasures(MIN_ROWS - 1, 0.0), Reject("the manifest does not match"), RuntimeError("killed"), None],
    ids=["few rows", "unreadable", "ended", "no intervals"],
)
async def test_a_batch_that_cannot_be_measured_changes_nothing(
    harness: TrainerHarness, measures: BatchMeasures | Exception | None
) -> None:
    """It is tried once. The next one is measured, unless the version has no intervals."""
    await harness.new_trainer().take_over()
    harness.measurer.measures = measures
    await harness.adjuster.adjust()
    await harness.adjuster.adjust()
    assert [batch for _, batch, _ in harness.measurer.measured] == ["real_estate/1/1", "real_estate/1/2"]
    assert harness.interval_levels == []
    harness.measurer.measures = BatchMeasures(200, 0.7)
    publish(harness, 3)
    await harness.adjuster.adjust()
    assert [row.number for row in harness.interval_levels] == ([3] if measures else [])


@pytest.mark.failure("F432")
async def test_an_outage_or_a_lost_lease_delays_a_measurement(harness: TrainerHarness) -> None:
    """What was measured without the lease is not stored."""
    harness.measurer.measures = Retry("mlflow", "down")
    with pytest.raises(Retry):
        await harness.adjust_intervals()
    harness.measurer.measures = BatchMeasures(200, 0.7)
    await harness.new_trainer().take_over()
    harness.give_lease_to_another()
    with pytest.raises(Retry, match="another trainer"):
        await harness.adjuster.adjust()
    assert harness.interval_levels == []
    await harness.adjust_intervals()
    assert [row.number for row in harness.interval_levels] == [1, 2]


@pytest.mark.failure("F435")
async def test_wiped_levels_are_restored(harness: TrainerHarness) -> None:
    """From the topic `models`, and no batch is measured again."""
    await harness.adjust_intervals()
    rows = harness.interval_levels
    harness.wipe()
    await harness.adjust_intervals()
    assert harness.interval_levels == rows
    assert len(harness.measurer.measured) == len(rows)


@pytest.mark.failure("F145")
async def test_a_champion_that_is_deleted_meanwhile_is_adjusted_without_a_tag(harness: TrainerHarness) -> None:
    """It is still served. The trainer stays ready."""
    await harness.adjust_intervals()
    harness.registry.delete(1)
    publish(harness, 3)
    await harness.adjuster.adjust()
    assert [row.number for row in harness.interval_levels] == [1, 2, 3]


async def test_without_a_champion_nothing_is_measured() -> None:
    """Nor if its version was deleted in the registry."""
    harness = TrainerHarness(50.0)
    await harness.adjust_intervals()
    await harness.add_request(request(0))
    await harness.finish()
    harness.registry.delete(1)
    await harness.adjust_intervals()
    assert harness.measurer.measured == []


async def test_the_adjuster_goes_on_after_an_outage_until_the_service_stops(
    harness: TrainerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for closed batches regularly."""
    monkeypatch.setattr(interval_adjuster, "WATCH_SECONDS", 0.01)
    await harness.new_trainer().take_over()
    harness.measurer.measures = Retry("kafka", "down")
    running = asyncio.create_task(harness.adjuster.run())
    async with asyncio.timeout(10):
        while len(harness.measurer.measured) < 2:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.01)
        harness.measurer.measures = BatchMeasures(200, 0.7)
        while len(harness.interval_levels) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    harness.health.stopping.set()
    await asyncio.wait_for(running, 10)
