"""What the source shows about its rows, and which batches it creates."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import prometheus_client
import pytest
from aiohttp import web

from veleta.errors import Retry
from veleta.input.row_counts import Reason, RowCounts
from veleta.service.health import ServiceHealth
from veleta_source.adapters.cursors import Cursors
from veleta_source.handlers import BatchFiles, DataApi

BATCHES_PER_EPOCH = 2


class NamedBatches:
    """A twin of `Input`. The only row of a batch is its name, as `2/0`.

    `created` has each epoch that was created, and the epochs that were kept then. `create` waits for `may_create`, and
    first raises `failures`.
    """

    def __init__(self, folder: Path, *, repeats: bool = False, counts: RowCounts | None = None) -> None:
        self.repeats = repeats
        self.created: list[tuple[int, list[int]]] = []
        self.failures: list[Exception] = []
        self.may_create = threading.Event()
        self.may_create.set()
        self._folder = folder
        self._counts = counts or RowCounts(complete=BATCHES_PER_EPOCH)

    def doing(self, epoch: int) -> str:
        return f"generating epoch {epoch}"

    def create(self, epoch: int, kept: Collection[int], _report_progress: Callable[[int], None]) -> BatchFiles:
        self.created.append((epoch, sorted(kept)))
        assert self.may_create.wait(30)
        if self.failures:
            raise self.failures.pop()
        paths = [self._folder / f"{epoch}-{number}.json" for number in range(BATCHES_PER_EPOCH)]
        for number, path in enumerate(paths):
            path.write_text(f'"{epoch}/{number}"')
        return BatchFiles(paths, self._counts, self._counts.summary())


class Client:
    """Asks the API, as group 7 if nothing else is said."""

    def __init__(self, session: aiohttp.ClientSession, health: ServiceHealth, server: web.Server) -> None:
        self.health = health
        self._session = session
        self._server = server

    @property
    def connected(self) -> bool:
        """Whether the server has an open connection."""
        return any(connection.transport for connection in self._server.connections)

    async def data(self, group: int = 7) -> Any:
        """The name of the next batch; the status if there is none."""
        async with self._session.get("/data", params={"group_number": group}) as response:
            return (await response.json())["data"][0] if response.ok else response.status

    async def restart(self, group: int = 7) -> None:
        """Restart the data."""
        async with self._session.get("/restart_data_generation", params={"group_number": group}) as response:
            assert response.ok


@asynccontextmanager
async def serving(folder: Path, source: NamedBatches) -> AsyncIterator[Client]:
    """The API of a source that runs."""
    health = ServiceHealth("source")
    api = DataApi(source, Cursors(folder / "cursors.json"), health)
    running = asyncio.create_task(api.run())
    runner = web.AppRunner(api.routes())  # as the service has it; a TestServer would cancel handlers
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        assert runner.server is not None
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield Client(session, health, runner.server)
    finally:
        source.may_create.set()
        await runner.cleanup()
        health.stopping.set()
        await running


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions change in threads
            await asyncio.sleep(0.01)


@pytest.mark.failure("F183")
@pytest.mark.parametrize(
    ("complete", "warnings"), [(9, {}), (1, {"rows": "1 of 2 rows (50 %) are left out: bed missing 1 (line 7)"})]
)
async def test_rows_that_are_left_out_are_shown(tmp_path: Path, complete: int, warnings: dict[str, str]) -> None:
    """In the activity and the metrics, and as a warning if there are many."""
    counts = RowCounts(complete=complete)
    counts.add_left_out(7, [Reason("bed missing")])
    health = ServiceHealth("source")
    health.stopping.set()  # `run` returns when it has shown the rows
    await DataApi(NamedBatches(tmp_path, counts=counts), Cursors(tmp_path / "cursors.json"), health).run()
    assert health.activity == f"serving 2 batches; {counts.summary()}"
    assert health.warnings == warnings
    value = prometheus_client.REGISTRY.get_sample_value
    assert value("veleta_source_rows", {"outcome": "complete"}) == complete
    assert value("veleta_source_rows", {"outcome": "left_out"}) == 1
    assert value("veleta_source_rows_left_out", {"reason": "bed missing"}) == 1


async def test_each_cursor_gets_the_batches_of_its_epoch(tmp_path: Path) -> None:
    """They stay on disk while a cursor is in the epoch. An epoch is created before its first request."""
    source = NamedBatches(tmp_path)
    async with serving(tmp_path, source) as client:
        assert [await client.data() for _ in range(3)] == ["1/0", "1/1", 400]
        await client.restart()
        await until(lambda: (2, []) in source.created)
        assert await client.data() == "2/0"
        assert [await client.data(8), await client.data()] == ["1/0", "2/1"]
        await client.restart()
        assert [await client.data(), await client.data(8)] == ["3/0", "1/1"]
    assert source.created == [(1, []), (2, []), (1, [2]), (3, [1])]


async def test_a_restarted_source_creates_the_newest_epoch_only(tmp_path: Path) -> None:
    """Others when they are asked for."""
    async with serving(tmp_path, NamedBatches(tmp_path)) as client:
        assert [await client.data(), await client.data(8)] == ["1/0", "1/0"]
        await client.restart()
    source = NamedBatches(tmp_path)
    async with serving(tmp_path, source) as client:
        assert [await client.data(), await client.data(8)] == ["2/0", "1/1"]
    assert source.created == [(2, []), (1, [2])]


async def test_a_file_is_split_once(tmp_path: Path) -> None:
    """Each epoch has the same batches."""
    source = NamedBatches(tmp_path, repeats=True)
    async with serving(tmp_path, source) as client:
        for _ in range(3):
            assert [await client.data() for _ in range(3)] == ["1/0", "1/1", 400]
            await client.restart()
    assert source.created == [(1, [])]


async def test_other_epochs_are_served_while_one_is_created(tmp_path: Path) -> None:
    """/readyz shows the one that is created."""
    source = NamedBatches(tmp_path)
    async with serving(tmp_path, source) as client:
        assert [await client.data(), await client.data(8)] == ["1/0", "1/0"]
        source.may_create.clear()
        await client.restart()
        await until(lambda: client.health.unavailable == {"batches": "generating epoch 2"})
        waiting = asyncio.create_task(client.data())
        assert await client.data(8) == "1/1"
        assert not waiting.done()
        source.may_create.set()
        assert await waiting == "2/0"
        assert client.health.ready


@pytest.mark.failure("F445")
async def test_a_request_waits_until_the_disk_has_room_for_its_epoch(tmp_path: Path) -> None:
    """/readyz shows the reason."""
    source = NamedBatches(tmp_path)
    async with serving(tmp_path, source) as client:
        assert await client.data() == "1/0"
        source.failures = [Retry("batches", "No space left on device")]
        await client.restart()
        waiting = asyncio.create_task(client.data())
        await until(lambda: client.health.unavailable == {"batches": "batches: No space left on device"})
        assert await waiting == "2/0"
        assert client.health.ready
    assert source.created == [(1, []), (2, []), (2, [])]


@pytest.mark.failure("F446")
async def test_a_client_that_gives_up_while_it_waits_loses_no_batch(tmp_path: Path) -> None:
    """Its next request gets the batch."""
    source = NamedBatches(tmp_path)
    async with serving(tmp_path, source) as client:
        assert await client.data() == "1/0"
        source.may_create.clear()
        await client.restart()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.data()
        await until(lambda: not client.connected)
        source.may_create.set()
        assert [await client.data(), await client.data()] == ["2/0", "2/1"]


async def test_a_cursor_that_is_restarted_while_it_waits_gets_its_new_epoch(tmp_path: Path) -> None:
    """The wait is for the epoch of the cursor, whatever it was at first."""
    source = NamedBatches(tmp_path)
    Cursors(tmp_path / "cursors.json").advance("7", BATCHES_PER_EPOCH)
    source.may_create.clear()
    async with serving(tmp_path, source) as client:
        waiting = asyncio.create_task(client.data())
        await until(lambda: source.created == [(1, [])])
        await client.restart()
        source.may_create.set()
        assert await waiting == "2/0"
