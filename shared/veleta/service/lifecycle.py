"""The lifecycle of every service: read settings, build, run, stop on SIGTERM."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiohttp import web

from veleta.errors import Stop
from veleta.service.health import STARTUP, ServiceHealth
from veleta.service.logs import configure_logging
from veleta.service.routes import HEALTH, health_routes
from veleta.settings import ServiceSettings, read_settings

SHUTDOWN_SECONDS = 20.0
"""How long a service may take to finish its work after SIGTERM."""

S = TypeVar("S", bound=ServiceSettings)
log = structlog.get_logger()


@dataclass
class Service:
    """What a bootstrap builds: `run` works until `health.stopping` is set; `routes` are the service's own routes."""

    run: Callable[[], Awaitable[None]]
    routes: web.Application = field(default_factory=web.Application)


def serve(name: str, settings_type: type[S], build: Callable[[S, ServiceHealth], Service]) -> None:
    """Run a service in this process: see `run` and `run_service`."""
    run(name, settings_type, partial(run_service, name, build))


def run(
    name: str,
    settings_type: type[S],
    main: Callable[[S, asyncio.Event], Coroutine[Any, Any, None]],
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Read the settings, run `main` and exit with 0, or with 1 and a one-line reason.

    SIGTERM and SIGINT set the event that `main` gets. `loop` creates the event loop if it is not asyncio's own.
    """
    configure_logging(name)
    reasons: list[str] = []

    async def with_signals() -> None:
        stop_requested = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
        await main(read_settings(settings_type), stop_requested)

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(with_signals())
    except* Stop as stopped:
        reasons += map(str, stopped.exceptions)
    if reasons:
        sys.exit(f"{name}: {'; '.join(reasons)}")


async def run_service(
    name: str,
    build: Callable[[S, ServiceHealth], Service],
    settings: S,
    stop_requested: asyncio.Event,
    worker_socket: Path | None = None,
) -> None:
    """Build a service and run it until a stop is requested.

    A worker that shares its port with others also listens on its own Unix socket, `worker_socket`.
    """
    health = ServiceHealth(name)
    service = build(settings, health)
    runner = await _listen(service.routes, health, settings.host, settings.port, worker_socket)
    running = asyncio.ensure_future(service.run())
    await asyncio.wait({running, asyncio.ensure_future(stop_requested.wait())}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    health.set_unavailable(STARTUP, "stopping")
    await runner.cleanup()
    health.stopping.set()
    await asyncio.wait({running}, timeout=SHUTDOWN_SECONDS)
    if not running.done():
        log.error("not finished in time", seconds=SHUTDOWN_SECONDS)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _listen(
    app: web.Application, health: ServiceHealth, host: str, port: int, worker_socket: Path | None
) -> web.AppRunner:
    app[HEALTH] = health
    app.add_routes(health_routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS / 2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=worker_socket is not None).start()
        if worker_socket:
            await web.UnixSite(runner, str(worker_socket)).start()
    except OSError as error:
        raise Stop(f"cannot listen on port {port}: {error.strerror}") from error
    return runner
