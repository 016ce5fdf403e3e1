"""The readiness of a worker's peers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from veleta.errors import Retry
from veleta_inference.adapters import peers as peers_module
from veleta_inference.adapters.peers import Peers, worker_socket

Start = Callable[..., Awaitable[None]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts worker 1 of two, with its unavailable dependencies, and the seconds until it responds."""
    runners: list[web.AppRunner] = []

    async def starting(unavailable: dict[str, str], seconds: float = 0) -> None:
        async def readyz(_request: web.Request) -> web.Response:
            await asyncio.sleep(seconds)
            return web.json_response({"waits_for": unavailable}, status=503 if unavailable else 200)

        app = web.Application()
        app.add_routes([web.get("/readyz", readyz)])
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.UnixSite(runners[-1], str(worker_socket(tmp_path, 1))).start()

    yield starting
    for runner in runners:
        await runner.cleanup()


async def test_all_are_ready(start: Start, tmp_path: Path) -> None:
    """A worker does not call itself."""
    await start({})
    await Peers(tmp_path, 0, 2).check()


@pytest.mark.failure("F131")
async def test_a_peer_that_is_not_ready_is_named_with_its_reasons(start: Start, tmp_path: Path) -> None:
    """So /readyz of each worker shows them."""
    await start({"mysql": "mysql: no answer", "workers": "worker 0 does not respond"})
    with pytest.raises(Retry, match=r"workers: worker 1: mysql: no answer$"):
        await Peers(tmp_path, 0, 2).check()


async def test_a_peer_that_only_waits_for_its_peers_is_ready(start: Start, tmp_path: Path) -> None:
    """Otherwise they would wait for each other."""
    await start({"workers": "worker 0: starting"})
    await Peers(tmp_path, 0, 2).check()


@pytest.mark.failure("F131")
async def test_a_peer_without_a_socket_is_named(tmp_path: Path) -> None:
    """It does not run."""
    with pytest.raises(Retry, match="worker 1 does not respond"):
        await Peers(tmp_path, 0, 2).check()


@pytest.mark.failure("F131")
async def test_a_peer_that_hangs_is_named(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and does not respond."""
    monkeypatch.setattr(peers_module, "TIMEOUT_SECONDS", 0.05)
    await start({}, 0.3)
    with pytest.raises(Retry, match="worker 1 does not respond"):
        await Peers(tmp_path, 0, 2).check()
