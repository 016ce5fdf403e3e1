"""The lifecycle of a service: start, stop, and errors."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientConnectorError, ClientSession, web
from aiohttp.typedefs import Handler

from support.testbed import free_port
from veleta.errors import Stop
from veleta.service import lifecycle as lifecycle_module
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service, run_service
from veleta.service.origins import FOREIGN_PAGE
from veleta.service.watchdog import Watchdog
from veleta.settings import ServiceSettings

Run = Callable[[ServiceHealth], Awaitable[None]]


async def run(work: Run, watchdog: Watchdog, port: int | None = None) -> None:
    """Run a service whose work is `work`. A GET of /data is unsafe."""
    # Without the watchdog's thread, its limit of a call would end this process five minutes later.
    settings = ServiceSettings(port=port or free_port(), liveness_seconds=0, hosts="loader")

    def build(_settings: ServiceSettings, health: ServiceHealth) -> Service:
        async def run() -> None:
            await work(health)

        return Service(run, unsafe_paths=["/data"])

    await asyncio.wait_for(run_service("loader", build, settings, watchdog), 10)


async def test_a_stop_request_lets_the_service_finish_its_work() -> None:
    """It sets `stopping`, and /readyz shows that the service stops."""
    watchdog, finished = Watchdog(), list[dict[str, str]]()

    async def work(health: ServiceHealth) -> None:
        health.mark_started()
        watchdog.stop_requested.set()
        await health.stopping.wait()
        finished.append(health.unavailable)

    await run(work, watchdog)
    assert finished == [{"start": "stopping"}]


@pytest.mark.failure("F512")
async def test_requests_are_answered_during_the_stop_delay() -> None:
    """/readyz is 503 meanwhile, and the work goes on. Then nothing listens."""
    settings, watchdog, statuses = ServiceSettings(port=free_port(), liveness_seconds=0), Watchdog(), list[object]()

    async def request(health: ServiceHealth) -> None:
        async with ClientSession(f"http://127.0.0.1:{settings.port}") as session:
            for path in ("/livez", "/readyz"):
                async with session.get(path) as response:
                    statuses.append(response.status)
            statuses.append(health.stopping.is_set())

    def build(_settings: ServiceSettings, health: ServiceHealth) -> Service:
        async def run() -> None:
            health.mark_started()
            await request(health)
            watchdog.stop_requested.set()
            await asyncio.sleep(0.1)
            await request(health)
            await health.stopping.wait()
            with pytest.raises(ClientConnectorError):
                await request(health)

        return Service(run, stop_delay=0.5)

    await asyncio.wait_for(run_service("inference", build, settings, watchdog), 10)
    assert statuses == [200, 200, False, 200, 503, False]


async def test_work_that_does_not_finish_in_time_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """After SHUTDOWN_SECONDS."""
    monkeypatch.setattr(lifecycle_module, "SHUTDOWN_SECONDS", 0.05)
    watchdog, cancelled = Watchdog(), list[bool]()

    async def work(health: ServiceHealth) -> None:
        watchdog.stop_requested.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    await run(work, watchdog)
    assert cancelled == [True]


async def test_an_error_of_the_service_ends_it() -> None:
    """Without a stop request; the error is raised."""

    async def work(health: ServiceHealth) -> None:
        raise Stop("a wrong setting")

    with pytest.raises(Stop, match="a wrong setting"):
        await run(work, Watchdog())


@pytest.mark.failure("F375")
@pytest.mark.failure("F376")
async def test_every_service_checks_host_and_origin() -> None:
    """On each of its paths. A link is allowed, but not to an unsafe path."""
    port, watchdog, statuses = free_port(), Watchdog(), list[int]()
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    requests: list[tuple[str, dict[str, str]]] = [
        ("/livez", {}), ("/livez", {"Host": f"loader:{port}"}), ("/livez", {"Host": f"evil.test:{port}"}),
        ("/metrics", {"Sec-Fetch-Site": "cross-site"}), ("/livez", link), ("/data", link), ("/data", {}),
    ]  # fmt: skip

    async def work(health: ServiceHealth) -> None:
        async with ClientSession(f"http://127.0.0.1:{port}") as session:
            for path, headers in requests:
                async with session.get(path, headers=headers) as response:
                    statuses.append(response.status)
        watchdog.stop_requested.set()
        await health.stopping.wait()

    await run(work, watchdog, port)
    assert statuses == [200, 200, 403, 403, 200, 403, 404]


@pytest.mark.failure("F376")
async def test_nothing_is_done_for_a_page_of_another_origin() -> None:
    """No middleware of the service gets its request. The response is the service's own."""
    settings, watchdog, handled = ServiceSettings(port=free_port(), liveness_seconds=0), Watchdog(), list[str]()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        handled.append(request.path)
        return await handler(request)

    def build(_settings: ServiceSettings, health: ServiceHealth) -> Service:
        async def run() -> None:
            async with ClientSession(f"http://127.0.0.1:{settings.port}") as session:
                async with session.post("/predict", headers={"Origin": "http://evil.test"}) as response:
                    assert (response.status, await response.text()) == (403, f"/predict: {FOREIGN_PAGE}")
                async with session.get("/livez") as response:
                    assert response.status == 200
            watchdog.stop_requested.set()

        def forbidden(request: web.Request, reason: str) -> web.Response:
            return web.Response(status=403, text=f"{request.path}: {reason}")

        return Service(run, web.Application(middlewares=[middleware]), forbidden=forbidden)

    await asyncio.wait_for(run_service("inference", build, settings, watchdog), 10)
    assert handled == ["/livez"]


async def test_a_port_in_use_is_an_error() -> None:
    """The message names it."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def work(health: ServiceHealth) -> None:
        """Does nothing."""

    async with server:
        with pytest.raises(Stop, match=f"cannot listen on port {port}:"):
            await run(work, Watchdog(), port)
