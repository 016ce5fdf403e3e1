"""What one of several processes says of the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from veleta.errors import Retry
from veleta_inference.adapters import peers as siblings_module
from veleta_inference.adapters.peers import Siblings, socket_of

Start = Callable[..., Awaitable[None]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts process 1 of two, which waits for what it is given, and takes so many seconds to say so."""
    runners: list[web.AppRunner] = []

    async def starting(waits_for: dict[str, str], seconds: float = 0) -> None:
        async def readyz(_request: web.Request) -> web.Response:
            await asyncio.sleep(seconds)
            return web.json_response({"waits_for": waits_for}, status=503 if waits_for else 200)

        app = web.Application()
        app.add_routes([web.get("/readyz", readyz)])
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.UnixSite(runners[-1], str(socket_of(tmp_path, 1))).start()

    yield starting
    for runner in runners:
        await runner.cleanup()


async def test_all_are_ready(start: Start, tmp_path: Path) -> None:
    """It does not ask itself."""
    await start({})
    await Siblings(tmp_path, 0, 2).check()


async def test_one_that_waits_is_named_with_its_reasons(start: Start, tmp_path: Path) -> None:
    """So that whoever asks the others learns it too."""
    await start({"mysql": "mysql: no answer", "workers": "worker 0 does not answer"})
    with pytest.raises(Retry, match=r"workers: worker 1: mysql: no answer$"):
        await Siblings(tmp_path, 0, 2).check()


async def test_who_only_waits_for_the_others_is_ready(start: Start, tmp_path: Path) -> None:
    """Or they would wait for each other for ever."""
    await start({"workers": "worker 0: starting"})
    await Siblings(tmp_path, 0, 2).check()


async def test_one_that_is_gone_is_named(tmp_path: Path) -> None:
    """Nobody is at its socket."""
    with pytest.raises(Retry, match="worker 1 does not answer"):
        await Siblings(tmp_path, 0, 2).check()


@pytest.mark.failure("F51")
async def test_one_that_hangs_is_named(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and does not answer."""
    monkeypatch.setattr(siblings_module, "ANSWER_SECONDS", 0.05)
    await start({}, 0.3)
    with pytest.raises(Retry, match="worker 1 does not answer"):
        await Siblings(tmp_path, 0, 2).check()
