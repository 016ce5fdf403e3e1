"""The lifecycle of every service: read settings, build, run, stop on SIGTERM."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiohttp import web

from veleta.errors import Stop
from veleta.printable import printable
from veleta.service.health import STARTUP, ServiceHealth
from veleta.service.listener import listen
from veleta.service.logs import configure_logging
from veleta.service.origins import OriginPolicy
from veleta.service.routes import HEALTH, check_origins, forbidden, health_routes
from veleta.service.watchdog import Watchdog
from veleta.settings import ServiceSettings, read_settings

SHUTDOWN_SECONDS = 20.0
"""How long a service may take to finish its work after SIGTERM. Then it is cancelled."""

S = TypeVar("S", bound=ServiceSettings)
log = structlog.get_logger()


@dataclass
class Service:
    """What a bootstrap builds: `run` works until `health.stopping` is set; `routes` are the service's own routes.

    A GET of the `unsafe_paths` changes something. `forbidden` makes the response to a request that a page of another
    origin sent, from the request and the reason. For `stop_delay` seconds after a stop request the service still
    accepts requests, while /readyz is 503: a load balancer sends it no more, and none is lost.
    """

    run: Callable[[], Awaitable[None]]
    routes: web.Application = field(default_factory=web.Application)
    unsafe_paths: Collection[str] = ()
    forbidden: Callable[[web.Request, str], web.Response] = forbidden
    stop_delay: float = 0.0


def serve(name: str, settings_type: type[S], build: Callable[[S, ServiceHealth], Service]) -> None:
    """Run a service in this process: see `run` and `run_service`."""
    run(name, settings_type, partial(run_service, name, build))


def run(
    name: str,
    settings_type: type[S],
    main: Callable[[S, Watchdog], Coroutine[Any, Any, None]],
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Read the settings, run `main` and exit with 0, or with 1 and a one-line reason.

    `main` gets a watchdog, whose event `stop_requested` is set by SIGTERM and SIGINT. It ends the process with
    `watchdog.EXIT_CODE` if it hangs. `loop` creates the event loop if it is not asyncio's own.
    """
    configure_logging(name)
    reasons: list[str] = []

    async def with_signals() -> None:
        watchdog = Watchdog()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, watchdog.stop_requested.set)
        watchdog.start()
        try:
            await main(read_settings(settings_type), watchdog)
        finally:
            watchdog.limit_stop()

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(with_signals())
    except* Stop as stopped:
        reasons += map(str, stopped.exceptions)
    if reasons:
        sys.exit(printable(f"{name}: {'; '.join(reasons)}"))


async def run_service(
    name: str,
    build: Callable[[S, ServiceHealth], Service],
    settings: S,
    watchdog: Watchdog,
    worker_socket: Path | None = None,
) -> None:
    """Build a service and run it until a stop is requested.

    A worker that shares its port with others also listens on its own Unix socket, `worker_socket`.
    """
    health = ServiceHealth(name, settings.liveness_seconds)
    if settings.liveness_seconds:
        watchdog.watch(health.stuck)
    service = build(settings, health)
    policy = OriginPolicy([settings.host, *settings.hosts.split(",")], f"{name.upper()}_HOSTS", service.unsafe_paths)
    # Before the service's own middlewares: nothing is read, looked up or stored for a page of another origin.
    service.routes.middlewares.insert(0, check_origins(policy, service.forbidden))
    service.routes[HEALTH] = health
    service.routes.add_routes(health_routes())
    runner = await listen(service.routes, settings.host, settings.port, worker_socket, SHUTDOWN_SECONDS / 2)
    running = asyncio.ensure_future(service.run())
    stop_requested = asyncio.ensure_future(watchdog.stop_requested.wait())
    await asyncio.wait({running, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    end = time.monotonic() + SHUTDOWN_SECONDS
    health.set_unavailable(STARTUP, "stopping")
    await asyncio.wait({running}, timeout=service.stop_delay)
    await runner.cleanup()
    health.stopping.set()
    await asyncio.wait({running}, timeout=end - time.monotonic())
    if not running.done():
        log.error("not finished in time", seconds=SHUTDOWN_SECONDS)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
