"""Runs inference in this process, or with WORKERS=n in n worker processes that share its port."""

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
from veleta.service.optional_packages import ARROW, leave_out
from veleta.service.watchdog import Watchdog
from veleta_inference.adapters.peers import Peers, worker_socket
from veleta_inference.settings import InferenceSettings

NAME = "inference"
RESTART_SECONDS = 1.0
STDIN = 0
"""Its descriptor."""
log = structlog.get_logger()


async def serve(settings: InferenceSettings, watchdog: Watchdog) -> None:
    """Serve until a stop is requested.

    Raises:
        Stop: the port is in use.
    """
    if settings.workers > 1:
        await _supervise_workers(settings, watchdog.stop_requested)
    else:
        from veleta_inference.bootstrap import build  # noqa: PLC0415 - the supervisor of workers needs none of it

        await run_service(NAME, build, settings, watchdog)


async def _serve_as_worker(settings: InferenceSettings, watchdog: Watchdog) -> None:
    """Serve as one of several workers. sys.argv has their folder and this one's number."""
    from veleta_inference.bootstrap import build  # noqa: PLC0415 - as above

    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    peers = Peers(folder, number, settings.workers)
    await run_service(NAME, partial(build, peers=peers), settings, watchdog, worker_socket(folder, number))


def _stop_at_end_of_stdin() -> None:
    """Stop this worker when its supervisor closes the pipe, or dies.

    A thread that waits in `sys.stdin` would abort the process when it ends by itself.
    """
    while os.read(STDIN, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


async def _supervise_workers(settings: InferenceSettings, stop_requested: asyncio.Event) -> None:
    try:
        socket.create_server((settings.host, settings.port)).close()
    except OSError as error:
        raise Stop(f"cannot listen on port {settings.port}: {os.strerror(error.errno or 0)}") from error
    with tempfile.TemporaryDirectory(prefix="veleta-") as folder:
        async with asyncio.TaskGroup() as tasks:
            for number in range(settings.workers):
                tasks.create_task(_run_worker(Path(folder), number, stop_requested))


async def _run_worker(folder: Path, number: int, stop_requested: asyncio.Event) -> None:
    """Run one worker, and restart it whenever it exits. It stops at the end of its stdin, so it never outlives this."""
    command = (sys.executable, "-m", "veleta_inference.workers", str(folder), str(number))
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    stopping = asyncio.create_task(stop_requested.wait())
    while not stop_requested.is_set():
        worker = await asyncio.create_subprocess_exec(*command, stdin=PIPE, env=environment)
        exited = asyncio.create_task(worker.wait())
        await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop_requested.is_set():
            assert worker.stdin  # noqa: S101 - a pipe
            worker.stdin.close()
            await exited
        else:
            log.error("worker exited", worker=number, code=worker.returncode)
            mark_process_dead(worker.pid, str(folder))  # type: ignore[no-untyped-call]  # it has no types
            await asyncio.wait({stopping}, timeout=RESTART_SECONDS)


if __name__ == "__main__":
    leave_out(ARROW)
    run(NAME, InferenceSettings, _serve_as_worker, uvloop.new_event_loop)
