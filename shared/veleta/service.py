"""Every service starts, answers for itself and stops by the same call: `serve`."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import prometheus_client
import structlog
from aiohttp import web

from veleta.errors import Stop
from veleta.life import Life
from veleta.settings import ServiceSettings, read_settings

FINISH_SECONDS = 20.0
"""How long a service may take to finish what it began, once it is told to stop."""

TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Exceptions as JSON, without the values of variables: they may hold passwords."""

S = TypeVar("S", bound=ServiceSettings)
log = structlog.get_logger()
LIFE: web.AppKey[Life] = web.AppKey("life", Life)


@dataclass
class Service:
    """What a bootstrap builds: `run` works until `life.stopping`; `pages` hold the service's own routes, if any."""

    run: Callable[[], Awaitable[None]]
    pages: web.Application = field(default_factory=web.Application)


def serve(name: str, settings_type: type[S], build: Callable[[S, Life], Service]) -> None:
    """Read the settings, build the service, run it until SIGTERM or SIGINT, and exit: 0, or 1 with one clear line."""
    configure_logging(name)
    reasons: list[str] = []
    try:
        asyncio.run(_serve(name, read_settings(settings_type), build))
    except* Stop as stopped:
        reasons += map(str, stopped.exceptions)
    if reasons:
        sys.exit(f"{name}: {'; '.join(reasons)}")


async def _serve(name: str, settings: S, build: Callable[[S, Life], Service]) -> None:
    life = Life(name)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    service = build(settings, life)
    runner = await _listen(service.pages, life, settings.host, settings.port)
    work = asyncio.ensure_future(service.run())
    await asyncio.wait({work, asyncio.ensure_future(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    life.lacks("start", "stopping")
    await runner.cleanup()
    life.stopping.set()
    await asyncio.wait({work}, timeout=FINISH_SECONDS)
    if not work.done():
        log.error("not finished in time", seconds=FINISH_SECONDS)
        work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _listen(app: web.Application, life: Life, host: str, port: int) -> web.AppRunner:
    app[LIFE] = life
    app.add_routes(routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_SECONDS / 2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise Stop(f"cannot listen on port {port}: {error.strerror}") from error
    return runner


def routes() -> Sequence[web.RouteDef]:
    """What every service answers for itself."""
    return [web.get("/livez", _livez), web.get("/readyz", _readyz), web.get("/metrics", _metrics)]


async def _livez(request: web.Request) -> web.Response:
    alive = request.app[LIFE].alive
    return web.json_response({"alive": alive}, status=200 if alive else 503)


async def _readyz(request: web.Request) -> web.Response:
    life = request.app[LIFE]
    ready = not life.waits_for
    body = {"ready": ready, "doing": life.doing, "waits_for": life.waits_for}
    return web.json_response(body, status=200 if ready else 503)


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(
        body=prometheus_client.generate_latest(),
        headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
    )


def configure_logging(service: str) -> None:
    """Plain lines on a terminal, JSON elsewhere; what other libraries say through `logging` looks the same."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    errors: list[structlog.typing.Processor] = [] if terminal else [TRACEBACKS]
    structlog.configure(
        processors=[*shared, *errors, last],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, last],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it warns of any 0.1 s, as compressing takes
    structlog.contextvars.bind_contextvars(service=service, pid=os.getpid())
