"""Drift's life around Faust: catching up, halting, and noticing that Faust went silent."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from veleta.adapters.memory import MemoryLog, MemoryTransactions, MemoryUnitOfWork
from veleta.dataset import load_dataset
from veleta.errors import Reject, Retry, Stop
from veleta.events.catalogue import BatchClosed
from veleta.processing import processor as processor_module
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth
from veleta_drift.adapters import worker as worker_module
from veleta_drift.adapters.worker import Worker

DATASET = load_dataset("real_estate")
TOPIC = "real_estate.batches"


class Handler:
    """Counts manifests, or rejects every one of them."""

    event_types = (BatchClosed,)

    def __init__(self, *, rejects: bool) -> None:
        self.taken = 0
        self.took: Callable[[], None] = lambda: None
        self._rejects = rejects

    def prepare(self, event: object) -> None:
        if self._rejects:
            raise Reject("poison")

    def apply(self, event: object, prepared: object, work: object) -> None:
        self.taken += 1
        self.took()

    def on_dead_letter(self, event: object, error: Exception, work: object) -> None:
        """Nothing is noted."""


class FakeApp:
    """A Faust app that hands over nothing."""

    def __init__(self) -> None:
        self.crashed = False
        self.crash_reason = None
        self.started = asyncio.Event()

    async def start(self) -> None:
        self.started.set()

    async def stop(self) -> None:
        """It ends."""


def bench(batches: int, *, rejects: bool = False) -> Any:
    log, transactions, health, app = (
        MemoryLog(),
        MemoryTransactions(MemoryUnitOfWork()),
        ServiceHealth("drift"),
        FakeApp(),
    )
    handler, publisher = Handler(rejects=rejects), OutboxPublisher(log, transactions)
    for number in range(batches):
        publish_batch(log, DATASET, 1, number, api_rows(0, 5, number))
    restored: list[int] = []

    async def restore() -> None:
        restored.append(handler.taken)

    processor = RecordProcessor(handler, transactions, publisher, health, lambda: TIME, DATASET.name)
    worker = Worker(cast("Any", app), TOPIC, log, transactions, publisher, processor, health, restore, idle_limit=0.05)
    return SimpleNamespace(
        restored=restored, log=log, transactions=transactions, health=health, app=app, handler=handler, worker=worker
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that looks every hundredth of a second."""
    monkeypatch.setattr(worker_module, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(processor_module, "STOPPED_HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr("veleta.service.health.CHECK_SECONDS", 0.01)


@pytest.mark.failure("F13")
async def test_what_has_no_verdict_is_assessed_before_faust_starts() -> None:
    """Faust goes by the group's offset, drift by its own mark."""
    made = bench(3)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    assert made.handler.taken == 3
    assert made.restored == [0]
    made.health.stopping.set()
    await asyncio.wait_for(running, 5)


@pytest.mark.failure("F25")
async def test_a_stop_while_it_catches_up_is_between_two_batches() -> None:
    """However many wait: the rest is left for the next start, and Faust is not started any more."""
    made = bench(5)
    made.handler.took = made.health.stopping.set
    await asyncio.wait_for(made.worker.run(), 5)
    assert made.handler.taken == 1
    assert not made.app.started.is_set()


@pytest.mark.failure("F40")
async def test_a_faust_that_goes_silent_ends_the_process() -> None:
    """Batches wait and none comes: supervisor starts it again."""
    made = bench(1)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    publish_batch(made.log, DATASET, 1, 1, api_rows(0, 5, 1))
    with pytest.raises(Stop, match="batches wait"):
        await asyncio.wait_for(running, 5)


@pytest.mark.failure("F40")
async def test_a_faust_that_goes_silent_is_noticed_though_batches_keep_coming() -> None:
    """What is published is no sign of life of who should take it."""
    made = bench(1)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    for number in range(1, 200):
        publish_batch(made.log, DATASET, 1, number, api_rows(0, 1, number))
        await asyncio.sleep(0.02)
        if running.done():
            break
    with pytest.raises(Stop, match="batches wait"):
        await asyncio.wait_for(running, 0.01)


@pytest.mark.failure("F40")
async def test_a_faust_that_crashed_ends_the_process() -> None:
    """Its reason is told."""
    made = bench(1)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    made.app.crashed = True
    with pytest.raises(Stop, match="Faust crashed"):
        await asyncio.wait_for(running, 5)


@pytest.mark.failure("F35")
async def test_a_halt_lasts_until_somebody_starts_drift_anew() -> None:
    """Three dead letters in a row for one reason: it stays up, says why on /readyz, and takes nothing more."""
    made = bench(5, rejects=True)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.sleep(0.5)
    assert not running.done()
    assert "3 consecutive dead letters" in made.health.unavailable["drift"]
    assert len(made.log.topics["real_estate.deadletter"]) == 3
    made.health.stopping.set()
    await asyncio.wait_for(running, 5)


async def test_a_wiped_database_ends_the_process() -> None:
    """The next start fills the tables again, before anything is assessed."""
    made = bench(2)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    await asyncio.sleep(0.05)
    await made.transactions.run(lambda uow: uow.checkpoints.save(TOPIC, 0, 0))
    with pytest.raises(Stop, match="lost checkpoints"):
        await asyncio.wait_for(running, 5)


async def test_a_record_beyond_the_mark_is_not_assessed() -> None:
    """Those before it were lost with the database: Faust may not acknowledge it, and the process ends."""
    made = bench(2)
    running = asyncio.ensure_future(made.worker.run())
    await asyncio.wait_for(made.app.started.wait(), 5)
    await made.transactions.run(lambda uow: uow.checkpoints.save(TOPIC, 0, 1))
    assessing = asyncio.ensure_future(made.worker.assess(made.log.topics[TOPIC][3]))
    with pytest.raises(Stop, match="checkpoint"):
        await asyncio.wait_for(running, 5)
    made.health.stopping.set()
    assert await assessing is False
    assert made.handler.taken == 2


@pytest.mark.failure("F23")
async def test_all_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One part that is away does not hide another: each is asked by itself, and each is found again by itself."""
    made, away = bench(1), set[str]()
    bounds, run = made.log.bounds, made.transactions.run

    def answer(what: str) -> None:
        if what in away:
            raise Retry(what, "away")

    def bounds_unless_away(topic: str) -> Any:
        answer("kafka")
        return bounds(topic)

    async def run_unless_away(transaction: Any) -> Any:
        answer("mysql")
        return await run(transaction)

    monkeypatch.setattr(made.log, "bounds", bounds_unless_away)
    monkeypatch.setattr(made.transactions, "run", run_unless_away)
    running = asyncio.ensure_future(made.worker.run())
    await _until(lambda: made.health.activity == "waiting for batches")
    away.update(("kafka", "mysql"))
    await _until(lambda: set(made.health.unavailable) == {"kafka", "mysql"})
    away.remove("mysql")
    await _until(lambda: set(made.health.unavailable) == {"kafka"})
    away.clear()
    await _until(lambda: not made.health.unavailable)
    made.health.stopping.set()
    await asyncio.wait_for(running, 5)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.005)
