"""PromotionFollower: a start reads the same number of records after any history, and serves what was served before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support.swaps import MODELS, Swaps
from support.twins.shared import MemoryLog
from veleta.events.envelope import Message, Record
from veleta.ports import Checkpoints, Subscription
from veleta_inference import promotion_follower
from veleta_inference.promotion_follower import PORTION, PromotionFollower


class CountingLog(MemoryLog):
    """A log that counts the records that are read, in whatever way."""

    def __init__(self) -> None:
        super().__init__()
        self.records_read = 0

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        for record in super().read(topic, partition, first, last):
            self.records_read += 1
            yield record

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        subscription = super().subscribe(topics, group, offsets)
        poll = subscription.poll

        def counting(timeout: float) -> list[Record]:
            records = poll(timeout)
            self.records_read += len(records)
            return records

        subscription.poll = counting  # type: ignore[method-assign]  # this subscription only
        return subscription


@pytest.fixture
def swaps(tmp_path: Path) -> Swaps:
    return Swaps(tmp_path, CountingLog())


def records_read(swaps: Swaps) -> int:
    """The records that were read from the log."""
    assert isinstance(swaps.log, CountingLog)
    return swaps.log.records_read


def add_old_records(swaps: Swaps, count: int) -> None:
    """Append records that are no promotions."""
    records = swaps.log.topics.setdefault(MODELS, [])
    rejected = Message(MODELS, "k", (("ce_to", b"trainer"),), b"{}")
    record = Record(MODELS, 0, 0, rejected.key, rejected.headers, rejected.value)
    records += [replace(record, offset=len(records) + number) for number in range(count)]


@asynccontextmanager
async def started(swaps: Swaps) -> AsyncIterator[None]:
    """Inference's start: the swapper and the follower run."""
    follower = PromotionFollower(MODELS, swaps.log, swaps.health, swaps.swapper)
    running = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600)), asyncio.create_task(follower.run())
    try:
        yield
    finally:
        swaps.health.stopping.set()
        await running[1]
        running[0].cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.001)


@pytest.mark.failure("F282")
@pytest.mark.parametrize("count", [1_000, 100_000])
async def test_a_start_reads_one_portion_of_any_history(swaps: Swaps, count: int) -> None:
    """The promotion that was served before is in it."""
    add_old_records(swaps, count)
    swaps.promote(swaps.version("11"), 7)
    add_old_records(swaps, 10)
    async with started(swaps):
        await until(lambda: swaps.swapper.explained)
        await asyncio.sleep(0.01)
    assert swaps.served == (1, 7)
    assert records_read(swaps) == PORTION


@pytest.mark.failure("F369")
async def test_a_start_reports_no_record_again(swaps: Swaps, tmp_path: Path) -> None:
    """It reads the last records again: a forged promotion, a broken one, and one that is no event."""
    forged = swaps.version("12")
    swaps.promote(swaps.version("11"), 1)
    swaps.publish(replace(forged, run_id="another"), 10**9)
    swaps.promote(swaps.version("rubbish"), 2)
    swaps.log.publish([Message(MODELS, "k", (), b"{")])
    starts = [swaps, *(Swaps(tmp_path, swaps.log, before=swaps) for _ in range(2))]
    for start in starts:
        async with started(start):
            await until(lambda start=start: start.swapper.explained)  # type: ignore[misc]  # bound at once
            await asyncio.sleep(0.1)
        await start.letters.drain()
    assert [start.dead_letters for start in starts] == [3, 0, 0]


async def test_old_records_are_read_until_the_served_promotion_is_explained(swaps: Swaps) -> None:
    """The alias is served meanwhile. Without an alias, the newest promotion that loads is found too."""
    version = swaps.version("11")
    swaps.promote(version, 1)
    add_old_records(swaps, 2 * PORTION)
    swaps.promote(swaps.version("rubbish"), 2)
    swaps.registry.set_tag(version.number, "seq", "1")
    swaps.registry.set_alias("champion", version.number)
    add_old_records(swaps, PORTION)
    async with started(swaps):
        await until(lambda: swaps.swapper.explained)
    assert swaps.served == (version.number, 1)
    assert [promotion.seq for promotion in swaps.swapper.promotions()] == [2, 1]


async def test_a_broken_champion_is_not_the_last_record_that_is_read(swaps: Swaps) -> None:
    """A new process serves the newest promotion that loads, however far back it is."""
    swaps.promote(swaps.version("11"), 1)
    add_old_records(swaps, 3 * PORTION)
    swaps.promote(swaps.version("rubbish"), 2)
    async with started(swaps):
        await until(lambda: "model" not in swaps.health.unavailable)
    assert swaps.served == (1, 1)


@pytest.mark.failure("F282")
async def test_the_records_of_a_start_have_a_bound(swaps: Swaps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alias is served; the causes of its promotion are not shown. Later promotions are served."""
    monkeypatch.setattr(promotion_follower, "MAX_RECORDS", 2 * PORTION)
    version = swaps.version("11")
    swaps.promote(version, 1)
    swaps.registry.set_tag(version.number, "seq", "1")
    swaps.registry.set_alias("champion", version.number)
    add_old_records(swaps, 5 * PORTION)
    async with started(swaps):
        await until(lambda: records_read(swaps) == 2 * PORTION)
        assert swaps.served == (version.number, 1)
        assert not swaps.swapper.explained
        swaps.promote(swaps.version("12"), 2)
        await until(lambda: swaps.swapper.explained)
    assert swaps.served == (2, 2)
    assert records_read(swaps) == 2 * PORTION + 1
