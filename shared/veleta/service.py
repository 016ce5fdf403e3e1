"""Every service starts, answers for itself and stops by the same call: `serve`."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import prometheus_client
import structlog
from aiohttp import web
from prometheus_client.multiprocess import MultiProcessCollector

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
    """Run a service in this process: see `run` and `work`."""
    run(name, settings_type, partial(work, name, build))


def run(
    name: str,
    settings_type: type[S],
    main: Callable[[S, asyncio.Event], Coroutine[Any, Any, None]],
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Read the settings, run `main` and exit: 0, or 1 with one clear line. Its event is set by SIGTERM and SIGINT.

    `loop` makes the event loop, where it is not to be asyncio's own.
    """
    configure_logging(name)
    reasons: list[str] = []

    async def until_told() -> None:
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        await main(read_settings(settings_type), told)

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(until_told())
    except* Stop as stopped:
        reasons += map(str, stopped.exceptions)
    if reasons:
        sys.exit(f"{name}: {'; '.join(reasons)}")


async def work(
    name: str,
    build: Callable[[S, Life], Service],
    settings: S,
    told: asyncio.Event,
    also_at: Path | None = None,
) -> None:
    """Build a service and run it until it is told to stop.

    One process of several shares their port, and answers for itself alone on the Unix socket `also_at`.
    """
    life = Life(name)
    service = build(settings, life)
    runner = await _listen(service.pages, life, settings.host, settings.port, also_at)
    running = asyncio.ensure_future(service.run())
    await asyncio.wait({running, asyncio.ensure_future(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    life.lacks("start", "stopping")
    await runner.cleanup()
    life.stopping.set()
    await asyncio.wait({running}, timeout=FINISH_SECONDS)
    if not running.done():
        log.error("not finished in time", seconds=FINISH_SECONDS)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _listen(app: web.Application, life: Life, host: str, port: int, also_at: Path | None) -> web.AppRunner:
    app[LIFE] = life
    app.add_routes(routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_SECONDS / 2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=also_at is not None).start()
        if also_at:
            await web.UnixSite(runner, str(also_at)).start()
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
        body=prometheus_client.generate_latest(_registry()),
        headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
    )


def _registry() -> prometheus_client.CollectorRegistry:
    """This process's metrics; of all that share a folder for them, where they do."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return prometheus_client.REGISTRY
    registry = prometheus_client.CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return registry


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
