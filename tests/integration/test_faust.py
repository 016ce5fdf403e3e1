"""The worker with a real Faust app on real Kafka: batches, a crash, and a consumer that stops without an error."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mode.threads import WorkerThread

from support.batches import publish_batch
from support.listings import api_rows
from support.testbed import Testbed
from support.twins.shared import MemoryTransactions, MemoryUnitOfWork
from veleta.errors import Stop
from veleta.events.envelope import Record
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_drift.adapters import faust_worker as worker_module
from veleta_drift.adapters.backlog import Backlog
from veleta_drift.adapters.faust_app import add_agent, make_app
from veleta_drift.adapters.faust_worker import FaustWorker

SECONDS = 30


class RealFaust:
    """A FaustWorker on Kafka. `records` are those that Faust passed on; the checkpoint moves with each.

    Processing raises `error`, if there is one.
    """

    def __init__(self, testbed: Testbed, folder: Path, idle_limit: float) -> None:
        self.records: list[Record] = []
        self.passed_on = asyncio.Event()
        self.error: Exception | None = None
        self.health = ServiceHealth("drift")
        self.app = make_app(f"{testbed.dataset.name}.{folder.name}", testbed.kafka, str(folder))
        self._world = testbed
        self._transactions = MemoryTransactions(MemoryUnitOfWork())
        self._topic = topic(testbed.dataset.name, "batches")
        self.backlog = Backlog(self._topic, testbed.log, self._transactions)
        self.worker = FaustWorker(self.app, self.backlog, self._process, self._nothing, self.health, idle_limit, {})
        add_agent(self.app, self._topic, self.worker.process)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Future[None]"]:
        """Run the worker until Faust passed on a batch. At the end of the block it is stopped."""
        running = asyncio.ensure_future(self.worker.run())
        try:
            async with asyncio.timeout(SECONDS):
                while self.health.activity != "waiting for batches":  # noqa: ASYNC110 - the product has no event to wait for
                    await asyncio.sleep(0.1)
                self.publish()
                await self.passed_on.wait()
            yield running
        finally:
            self.health.stopping.set()
            await asyncio.wait([running], timeout=SECONDS)
            # A thread of Faust uses the event loop of the test until it ends.
            for thread in threading.enumerate():
                if isinstance(thread, WorkerThread):
                    await asyncio.to_thread(threading.Thread.join, thread, SECONDS)

    def resume(self, ended: "RealFaust") -> None:
        """Start from the checkpoints of a process that ended."""
        self._transactions.committed = ended._transactions.committed

    def publish(self) -> None:
        publish_batch(self._world.log, self._world.dataset, 1, 0, list(api_rows(0, 5, 1)))

    async def _process(self, record: Record) -> bool:
        if self.error:
            raise self.error
        await self._transactions.run(
            lambda uow: uow.checkpoints.save(record.topic, record.partition, record.offset + 1)
        )
        self.records.append(record)
        self.passed_on.set()
        return True

    async def _nothing(self) -> None:
        """Nothing is restored."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker checks Faust ten times a second."""
    monkeypatch.setattr(worker_module, "WATCH_SECONDS", 0.1)


async def test_faust_passes_on_each_record_once(testbed: Testbed, tmp_path: Path) -> None:
    """In the order of the topic."""
    faust = RealFaust(testbed, tmp_path, idle_limit=SECONDS)
    async with faust.running() as running:
        faust.publish()
        async with asyncio.timeout(SECONDS):
            while len(faust.records) < 4:  # noqa: ASYNC110 - the product has no event to wait for
                await asyncio.sleep(0.1)
        assert not running.done()
    assert [record.offset for record in faust.records] == list(range(len(faust.records)))


@pytest.mark.failure("F112")
async def test_a_real_crash_of_faust_ends_the_process(
    testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in Faust's consumer crashes the app, and the worker raises its reason."""
    faust = RealFaust(testbed, tmp_path, idle_limit=SECONDS)
    async with faust.running() as running:

        async def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("the fetcher broke")

        monkeypatch.setattr(faust.app.consumer, "_wait_next_records", broken)
        with pytest.raises(Stop, match=r"Faust crashed: .*the fetcher broke"):
            await asyncio.wait_for(running, SECONDS)


@pytest.mark.failure("F112")
async def test_an_error_in_the_agent_ends_the_process(testbed: Testbed, tmp_path: Path) -> None:
    """Faust would acknowledge the record and pass on the next one. The next process starts with this record."""
    faust = RealFaust(testbed, tmp_path, idle_limit=SECONDS)
    async with faust.running() as running:
        async with asyncio.timeout(SECONDS):
            while not (await faust.backlog.progress()).complete:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
        last = max(record.offset for record in faust.records)
        faust.error = RuntimeError("the agent broke")
        faust.publish()
        with pytest.raises(RuntimeError, match="the agent broke"):
            await asyncio.wait_for(running, SECONDS / 2)
    following = RealFaust(testbed, tmp_path, idle_limit=SECONDS)
    following.resume(faust)
    async with following.running():
        assert following.records[0].offset == last + 1


@pytest.mark.failure("F40")
async def test_a_consumer_that_stops_without_an_error_ends_the_process(testbed: Testbed, tmp_path: Path) -> None:
    """Faust stays up and passes on nothing more, while a batch waits."""
    faust = RealFaust(testbed, tmp_path, idle_limit=1.0)
    async with faust.running() as running:
        faust.app.flow_control.suspend()
        faust.app.consumer.pause_partitions(faust.app.consumer.assignment())
        faust.publish()
        with pytest.raises(Stop, match="batches wait"):
            await asyncio.wait_for(running, SECONDS)
        assert not faust.app.crashed
