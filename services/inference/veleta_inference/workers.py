"""WORKERS=n: this process starts n others, which share the port, and starts anew each that ends."""

import asyncio
import os
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import structlog
from prometheus_client.multiprocess import mark_process_dead

from veleta.errors import Stop
from veleta_inference.settings import InferenceSettings

RESTART_SECONDS = 1.0
log = structlog.get_logger()


async def share(settings: InferenceSettings, told: asyncio.Event) -> None:
    """Run all workers until the event is set, and until they have ended.

    Raises:
        Stop: somebody else listens on the port.
    """
    try:
        socket.create_server((settings.host, settings.port)).close()
    except OSError as error:
        raise Stop(f"cannot listen on port {settings.port}: {os.strerror(error.errno or 0)}") from error
    with tempfile.TemporaryDirectory(prefix="veleta-") as folder:
        async with asyncio.TaskGroup() as group:
            for number in range(settings.workers):
                group.create_task(_keep(Path(folder), number, told))


async def _keep(folder: Path, number: int, told: asyncio.Event) -> None:
    """Run one worker, again and again; it ends by itself when its stdin does, and so when this process is killed."""
    command = (sys.executable, "-m", "veleta_inference", str(folder), str(number))
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
