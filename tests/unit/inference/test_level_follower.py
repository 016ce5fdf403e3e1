"""LevelFollower: a start serves the level that was served before, and follows the next ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from support.market_levels import MARKET
from support.swaps import LEVELS, Swaps
from veleta.events.envelope import Message
from veleta.ports import Version
from veleta_inference import level_follower
from veleta_inference.level_follower import PORTION, LevelFollower

AUGUST = date(2014, 8, 30)


@pytest.fixture
def swaps(tmp_path: Path) -> Swaps:
    return Swaps(tmp_path, dataset=MARKET)


@asynccontextmanager
async def started(swaps: Swaps) -> AsyncIterator[None]:
    """Inference's start: the swapper and the follower run."""
    follower = LevelFollower(LEVELS, swaps.log, swaps.health, swaps.swapper)
    swapping = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600))
    following = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        swaps.health.stopping.set()
        await following
        swapping.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.001)


def champion(swaps: Swaps) -> Version:
    """The registry's champion, a model with a market."""
    version = swaps.version("market")
    swaps.registry.set_alias("champion", version.number)
    return version


@pytest.mark.failure("F473")
async def test_a_restart_serves_the_level_that_was_served_before(swaps: Swaps) -> None:
    """Also its first answer, and after many updates. It then follows the next one."""
    version = champion(swaps)
    for seq in range(1, 2 * PORTION + 10):
        swaps.update(version, seq, AUGUST, seq / 1e4)
    async with started(swaps):
        await until(lambda: "model" not in swaps.health.unavailable)
        assert swaps.market_level == (1009, 0.1009)
        swaps.update(version, 1010, AUGUST, 0.2)
        await until(lambda: swaps.market_level == (1010, 0.2))
    assert swaps.registry.downloads[version.number] == 1


@pytest.mark.failure("F473")
async def test_no_price_is_asked_before_the_levels_are_known(swaps: Swaps) -> None:
    """While Kafka is unreachable, /readyz names what is missing."""
    version = champion(swaps)
    swaps.update(version, 1, AUGUST, 0.05)
    levels = swaps.log.topics[LEVELS]
    swaps.log.delete_topic(LEVELS)
    async with started(swaps):
        await asyncio.sleep(0.05)
        assert "the levels of the market were not yet read" in swaps.health.unavailable["model"]
        swaps.log.create_topic(LEVELS)
        swaps.log.topics[LEVELS] = levels
        await until(lambda: "model" not in swaps.health.unavailable)
        assert swaps.market_level == (1, 0.05)


async def test_the_records_of_a_start_have_a_bound(swaps: Swaps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones are read."""
    monkeypatch.setattr(level_follower, "MAX_RECORDS", 3)
    version = champion(swaps)
    for seq in range(1, 9):
        swaps.update(version, seq, date(2014, 7 + seq // 3, 30), seq / 100)
    async with started(swaps):
        await until(lambda: "model" not in swaps.health.unavailable)
        assert swaps.market_level == (8, 0.08)
        market = swaps.swapper.model.market
        assert market is not None
        assert [each.seq for each in market.periods.values()] == [0, 0, 0, 8]


async def test_without_a_market_nothing_is_waited_for(tmp_path: Path) -> None:
    """A dataset without one is served without the topic."""
    swaps = Swaps(tmp_path)
    version = swaps.version("11")
    swaps.registry.set_alias("champion", version.number)
    swapping = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600))
    await until(lambda: "model" not in swaps.health.unavailable)
    swapping.cancel()
    assert swaps.swapper.model.market is None


async def test_a_level_that_cannot_be_read_is_a_dead_letter(swaps: Swaps) -> None:
    """Nor one that is no factor of prices. The level stays."""
    version = champion(swaps)
    swaps.update(version, 1, AUGUST, 0.05)
    swaps.log.publish([Message(LEVELS, "k", (), b"{")])
    swaps.update(version, 2, AUGUST, 1e308)
    swaps.update(version, 3, AUGUST, -21.0)
    await swaps.reconcile()
    assert (swaps.market_level, swaps.dead_letters) == ((1, 0.05), 3)


async def test_each_version_is_served_at_the_level_of_its_own_market(swaps: Swaps) -> None:
    """Also after a rollback, and if the event arrived before the promotion. A version of another run has none."""
    first, second = swaps.version("market"), swaps.version("market")
    swaps.promote(first, 1)
    await swaps.reconcile()
    assert swaps.market_level == (0, 0.025)
    swaps.update(first, 1, AUGUST, 0.03)
    swaps.update(second, 2, AUGUST, 0.04)
    swaps.update(Version(first.number, "another run"), 3, AUGUST, 0.05)
    await swaps.reconcile()
    assert swaps.market_level == (1, 0.03)
    for seq, version, expected in ((2, second, (2, 0.04)), (3, first, (1, 0.03))):
        swaps.promote(version, seq)
        await swaps.reconcile()
        assert swaps.market_level == expected
        assert swaps.swapper.model.predictor.offset == expected[1]


async def test_an_update_replaces_nothing_but_the_level(swaps: Swaps) -> None:
    """A group of requests that began before it keeps its own. The greatest number wins."""
    version = swaps.version("market")
    swaps.promote(version, 1)
    await swaps.reconcile()
    before = swaps.swapper.model
    for seq in (2, 1):
        swaps.update(version, seq, AUGUST, seq / 100)
    await swaps.reconcile()
    after = swaps.swapper.model
    assert (before.market and before.market.state.seq, after.market and after.market.state.seq) == (0, 2)
    assert (before.predictor.offset, after.predictor.offset) == (0.025, 0.02)
    assert (before.window, before.loaded_at, before.path) == (after.window, after.loaded_at, after.path)
    assert swaps.registry.downloads[version.number] == 1


async def test_a_model_without_levels_is_served_as_before(swaps: Swaps) -> None:
    """It was trained before the dataset had a market, or all its dates were of one period."""
    version = swaps.version("11")
    swaps.promote(version, 1)
    swaps.update(version, 1, AUGUST, 0.03)
    await swaps.reconcile()
    assert (swaps.served, swaps.swapper.model.market, swaps.dead_letters) == ((1, 1), None, 0)
