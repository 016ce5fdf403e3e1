"""The worker around Faust: the backlog, stopping, and restarts when Faust or the database fails.

The same rules with a real Faust app are in tests/integration/test_faust.py.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from support.batches import TIME, publish_batch
from support.listings import api_rows
from support.twins.shared import MemoryLog, MemoryTransactions, MemoryUnitOfWork
from veleta.dataset import load_dataset
from veleta.errors import Retry, Stop
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Record
from veleta.processing import processor as processor_module
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth
from veleta_drift.adapters import faust_worker as worker_module
from veleta_drift.adapters.backlog import Backlog
from veleta_drift.adapters.faust_worker import FaustWorker

DATASET = load_dataset("real_estate")
TOPIC = "real_estate.batches"


class Handler:
    """Counts manifests, or fails at each one."""

    event_types = (BatchClosed,)

    def __init__(self) -> None:
        self.handled = 0
        self.fails = False
        self.on_handled: Callable[[], None] = lambda: None
        self.seconds = 0.0

    async def prepare(self, event: object) -> None:
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise KeyError("poison")

    def apply(self, event: object, prepared: object, uow: object) -> None:
        self.handled += 1
        self.on_handled()

    def on_dead_letter(self, event: object, error: Exception, uow: object) -> None:
        """Records nothing."""


class FakeApp:
    """A Faust app that passes on nothing."""

    def __init__(self) -> None:
        self.crashed = False
        self.crash_reason = None
        self.started = asyncio.Event()

    async def start(self) -> None:
        self.started.set()

    async def stop(self) -> None:
        """Stops at once."""


class Drift:
    """A FaustWorker with in-memory parts and a FakeApp."""

    def __init__(self) -> None:
        self.log, self.health, self.app, self.handler = MemoryLog(), ServiceHealth("drift"), FakeApp(), Handler()
        self.transactions = MemoryTransactions(MemoryUnitOfWork())
        self.handled_before_start: list[int] = []
        publisher = OutboxPublisher(self.log, self.transactions)
        processor = RecordProcessor(self.handler, self.transactions, publisher, self.health, lambda: TIME, DATASET.name)

        async def before_start() -> None:
            self.handled_before_start.append(self.handler.handled)

        self.backlog = backlog = Backlog(TOPIC, self.log, self.transactions)
        self.worker = FaustWorker(
            cast("Any", self.app),
            backlog,
            processor.process_or_stop_consuming,
            before_start,
            self.health,
            idle_limit=0.05,
            checks={"mysql": backlog.checkpoints, "kafka": backlog.bounds},
        )

    def publish(self, *numbers: int) -> None:
        for number in numbers:
            publish_batch(self.log, DATASET, 1, number, api_rows(0, 5, number))

    async def start(self) -> "asyncio.Future[None]":
        """Run the worker and wait until it started Faust."""
        running = asyncio.ensure_future(self.worker.run())
        await asyncio.wait_for(self.app.started.wait(), 5)
        return running

    async def stop(self, running: "asyncio.Future[None]") -> None:
        """Stop as `veleta.service.lifecycle` does: a retry that is interrupted raises CancelledError."""
        self.health.stopping.set()
        await asyncio.wait({running}, timeout=5)
        assert running.cancelled() or running.exception() is None


@pytest.fixture
async def drift(monkeypatch: pytest.MonkeyPatch) -> Drift:
    """Drift with pauses of 10 ms."""
    monkeypatch.setattr(worker_module, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(processor_module, "STOPPED_HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr("veleta.service.health.PAUSE_SECONDS", 0.01)
    return Drift()


@pytest.mark.failure("F111")
async def test_the_backlog_is_processed_before_faust_starts(drift: Drift) -> None:
    """Faust starts from the group's committed offset, drift from its own checkpoint."""
    drift.publish(0, 1, 2)
    running = await drift.start()
    assert drift.handler.handled == 3
    assert drift.handled_before_start == [0]
    await drift.stop(running)


@pytest.mark.failure("F478")
async def test_drift_is_ready_while_it_processes_the_backlog(drift: Drift) -> None:
    """A batch may take long, as on a cluster. Before the tables are restored, it is not ready."""
    drift.publish(0, 1)
    seen: list[tuple[object, str]] = [(drift.health.unavailable, drift.health.activity)]
    drift.handler.on_handled = lambda: seen.append((drift.health.unavailable, drift.health.activity))
    running = await drift.start()
    assert seen == [
        ({"start": "not yet started"}, "starting"),
        ({}, f"handling {TOPIC} 1"),  # offset 0 is `batch.opened`
        ({}, f"handling {TOPIC} 3"),
    ]
    await drift.stop(running)


@pytest.mark.failure("F25")
async def test_a_stop_during_the_backlog_is_between_two_batches(drift: Drift) -> None:
    """The rest is left for the next start, and Faust is not started."""
    drift.publish(*range(5))
    drift.handler.on_handled = drift.health.stopping.set
    await asyncio.wait_for(drift.worker.run(), 5)
    assert drift.handler.handled == 1
    assert not drift.app.started.is_set()


@pytest.mark.failure("F40")
async def test_a_silent_faust_ends_the_process(drift: Drift) -> None:
    """Batches wait and Faust passes on none: supervisor restarts the process."""
    drift.publish(0)
    running = await drift.start()
    drift.publish(1)
    with pytest.raises(Stop, match="batches wait"):
        await asyncio.wait_for(running, 5)


@pytest.mark.failure("F40")
async def test_a_silent_faust_is_noticed_although_batches_are_published(drift: Drift) -> None:
    """A growing topic is not progress of its consumer."""
    drift.publish(0)
    running = await drift.start()
    for number in range(1, 200):
        drift.publish(number)
        await asyncio.sleep(0.02)
        if running.done():
            break
    with pytest.raises(Stop, match="batches wait"):
        await asyncio.wait_for(running, 0.01)


async def test_a_batch_may_take_longer_than_faust_may_be_silent(drift: Drift) -> None:
    """As on a cluster that is busy. The batches behind it wait."""
    running = await drift.start()
    drift.publish(0, 1)
    drift.handler.seconds = 0.3
    for record in await drift.backlog.records():
        assert await drift.worker.process(record)
        assert not running.done()
    await drift.stop(running)
    assert drift.handler.handled == 2


@pytest.mark.failure("F112")
async def test_a_crashed_faust_ends_the_process(drift: Drift) -> None:
    """The error contains Faust's reason."""
    drift.publish(0)
    running = await drift.start()
    drift.app.crashed = True
    with pytest.raises(Stop, match="Faust crashed"):
        await asyncio.wait_for(running, 5)


@pytest.mark.failure("F112")
async def test_an_unexpected_error_ends_the_process(drift: Drift, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust would acknowledge the record if its agent raised."""
    running = await drift.start()
    monkeypatch.setattr(drift.worker, "_process", _broken)
    processing = asyncio.ensure_future(drift.worker.process(Record(TOPIC, 0, 0, "", (), b"")))
    with pytest.raises(RuntimeError, match="the agent broke"):
        await asyncio.wait_for(running, 5)
    drift.health.stopping.set()
    assert await processing is False


@pytest.mark.failure("F35")
async def test_drift_that_stopped_consuming_waits_for_a_restart(drift: Drift) -> None:
    """After three consecutive unexpected errors it stays up, shows why on /readyz, and consumes nothing."""
    drift.handler.fails = True
    drift.publish(*range(5))
    running = asyncio.ensure_future(drift.worker.run())
    with capture_logs():  # the console takes seconds to show a traceback
        await asyncio.sleep(2)
    assert not running.done()
    assert "3 consecutive dead letters" in drift.health.unavailable["drift"]
    assert len(drift.log.topics["real_estate.deadletter"]) == 3
    await drift.stop(running)


@pytest.mark.failure("F101")
async def test_a_wiped_database_ends_the_process(drift: Drift) -> None:
    """The next start restores the tables before it assesses a batch."""
    drift.publish(0, 1)
    running = await drift.start()
    await asyncio.sleep(0.05)
    await drift.transactions.run(lambda uow: uow.checkpoints.save(TOPIC, 0, 0))
    with pytest.raises(Stop, match="lost checkpoints"):
        await asyncio.wait_for(running, 5)


@pytest.mark.failure("F313")
async def test_a_recreated_topic_ends_the_process(drift: Drift) -> None:
    """Drift waits while the topic does not exist. Faust's offset belongs to the deleted topic: drift starts anew."""
    drift.publish(0, 1)
    running = await drift.start()
    await asyncio.sleep(0.1)
    drift.log.delete_topic(TOPIC)
    await _until(lambda: "kafka" in drift.health.unavailable)
    assert f"{TOPIC} does not exist" in drift.health.unavailable["kafka"]
    await asyncio.sleep(0.1)
    assert not running.done()
    drift.log.create_topic(TOPIC)
    with pytest.raises(Stop, match="lost checkpoints"):
        await asyncio.wait_for(running, 5)


async def test_a_record_beyond_the_checkpoint_is_not_processed(drift: Drift) -> None:
    """The records before it were lost with the database: Faust must not acknowledge it, and the process ends."""
    drift.publish(0, 1)
    running = await drift.start()
    await drift.transactions.run(lambda uow: uow.checkpoints.save(TOPIC, 0, 1))
    processing = asyncio.ensure_future(drift.worker.process(drift.log.topics[TOPIC][3]))
    with pytest.raises(Stop, match="checkpoint"):
        await asyncio.wait_for(running, 5)
    drift.health.stopping.set()
    assert await processing is False
    assert drift.handler.handled == 2


@pytest.mark.failure("F23")
async def test_each_unavailable_dependency_is_shown(drift: Drift, monkeypatch: pytest.MonkeyPatch) -> None:
    """One does not hide another: each is checked on its own, and each is shown as available again on its own."""
    unavailable = set[str]()
    bounds, run = drift.log.bounds, drift.transactions.run

    def check(dependency: str) -> None:
        if dependency in unavailable:
            raise Retry(dependency, "unreachable")

    def bounds_or_retry(topic: str) -> Any:
        check("kafka")
        return bounds(topic)

    async def run_or_retry(transaction: Any) -> Any:
        check("mysql")
        return await run(transaction)

    monkeypatch.setattr(drift.log, "bounds", bounds_or_retry)
    monkeypatch.setattr(drift.transactions, "run", run_or_retry)
    running = await drift.start()
    await _until(lambda: drift.health.activity == "waiting for batches")
    unavailable.update(("kafka", "mysql"))
    await _until(lambda: set(drift.health.unavailable) == {"kafka", "mysql"})
    unavailable.remove("mysql")
    await _until(lambda: set(drift.health.unavailable) == {"kafka"})
    unavailable.clear()
    await _until(lambda: not drift.health.unavailable)
    await drift.stop(running)


async def _broken(_record: Record) -> bool:
    raise RuntimeError("the agent broke")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.005)
