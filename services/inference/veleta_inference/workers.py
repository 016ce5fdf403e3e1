"""Serves by one process, or with WORKERS=n by n others, which share the port: each that ends is started again."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE
from functools import partial
from pathlib import Path
from threading import Thread

import structlog
import uvloop
from prometheus_client.multiprocess import mark_process_dead

from veleta.errors import Stop
from veleta.service.lifecycle import run, run_service
from veleta_inference.adapters.peers import Siblings, socket_of
from veleta_inference.settings import InferenceSettings

NAME = "inference"
RESTART_SECONDS = 1.0
log = structlog.get_logger()


async def serve(settings: InferenceSettings, told: asyncio.Event) -> None:
    """Serve until the event is set.

    Raises:
        Stop: somebody else listens on the port.
    """
    if settings.workers > 1:
        await _share(settings, told)
    else:
        from veleta_inference.bootstrap import build  # noqa: PLC0415 - whoever lets others serve needs none of it

        await run_service(NAME, build, settings, told)


async def _serve_with_siblings(settings: InferenceSettings, told: asyncio.Event) -> None:
    """Serve as one of several, each with a number of its own; sys.argv names their folder and this one's number."""
    from veleta_inference.bootstrap import build  # noqa: PLC0415 - as above

    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    Thread(target=_end_with_stdin, daemon=True).start()
    siblings = Siblings(folder, number, settings.workers)
    await run_service(NAME, partial(build, siblings=siblings), settings, told, worker_socket=socket_of(folder, number))


def _end_with_stdin() -> None:
    """Stdin ends when whoever started this process wants it to stop, or is gone."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


async def _share(settings: InferenceSettings, told: asyncio.Event) -> None:
    try:
        socket.create_server((settings.host, settings.port)).close()
    except OSError as error:
        raise Stop(f"cannot listen on port {settings.port}: {os.strerror(error.errno or 0)}") from error
    with tempfile.TemporaryDirectory(prefix="veleta-") as folder:
        async with asyncio.TaskGroup() as group:
            for number in range(settings.workers):
                group.create_task(_keep(Path(folder), number, told))


async def _keep(folder: Path, number: int, told: asyncio.Event) -> None:
    """Run one worker, again and again; it ends when its stdin does, and so even when this process is killed."""
    command = (sys.executable, "-m", "veleta_inference.workers", str(folder), str(number))
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    stopping = asyncio.create_task(told.wait())
    while not told.is_set():
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, env=environment)
        ended = asyncio.create_task(child.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if told.is_set():
            assert child.stdin  # noqa: S101 - a pipe
            child.stdin.close()
            await ended
        else:
            log.error("a worker ended", worker=number, code=child.returncode)
            mark_process_dead(child.pid, str(folder))  # type: ignore[no-untyped-call]  # it has no types
            await asyncio.wait({stopping}, timeout=RESTART_SECONDS)


if __name__ == "__main__":
    run(NAME, InferenceSettings, _serve_with_siblings, uvloop.new_event_loop)
