"""A service that hangs: `python -m support.hanging KIND`. It prints `hangs` just before. Time limits are short.

KIND is one of KINDS.
"""

import asyncio
import hashlib
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from veleta.service import lifecycle, watchdog
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.settings import ServiceSettings

STARTED = "hangs"


async def stuck_loop(health: ServiceHealth) -> None:
    """The main loop waits for something that never comes, while another loop goes on."""

    async def other_loop() -> None:
        while await health.sleep(0.1):
            health.set_activity("watching")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other_loop())
        await health.supervise("consumer", never())


async def blocked_event_loop(_health: ServiceHealth) -> None:
    """A call in Python blocks the event loop."""
    time.sleep(60)  # noqa: ASYNC251 - the fault


async def blocked_library(_health: ServiceHealth) -> None:
    """A call of a C library blocks the event loop; no signal interrupts it."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)


async def held_interpreter(_health: ServiceHealth) -> None:
    """A call holds the interpreter lock, so that no other thread runs."""
    re.match(r"(a+)+b", "a" * 60)


async def blocked_stderr(_health: ServiceHealth) -> None:
    """Nobody reads the log."""
    while True:
        sys.stderr.write("x" * 10_000)


async def call_in_thread(health: ServiceHealth) -> None:
    """The main loop waits for a call in a thread, which blocks the exit of the interpreter too."""
    await health.supervise("consumer", asyncio.to_thread(time.sleep, 60))


async def refuses_to_end(_health: ServiceHealth) -> None:
    """The service ends neither by its event nor by a cancellation, as a library's stop that waits for a server."""
    while True:
        try:
            await never()
        except asyncio.CancelledError:
            continue


async def thread_at_exit(health: ServiceHealth) -> None:
    """The service ends, but a thread of a library goes on."""
    threading.Thread(target=time.sleep, args=(60,)).start()
    await health.supervise("consumer", _sleep(health))


async def ends_with_thread(_health: ServiceHealth) -> None:
    """The service ends without a signal, but a thread of a library goes on."""
    threading.Thread(target=time.sleep, args=(60,)).start()


async def never() -> None:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()


async def _sleep(health: ServiceHealth) -> None:
    while await health.sleep(0.1):
        pass


KINDS: dict[str, Callable[[ServiceHealth], Awaitable[None]]] = {
    kind.__name__: kind
    for kind in (
        stuck_loop, blocked_event_loop, blocked_library, held_interpreter, blocked_stderr, call_in_thread,
        refuses_to_end, thread_at_exit, ends_with_thread,
    )
}  # fmt: skip


def main(kind: str) -> None:
    """Run the service."""
    watchdog.TICK_SECONDS, watchdog.EXIT_MARGIN, watchdog.LOG_SECONDS = 0.1, 0.2, 0.5
    watchdog.STOP_SECONDS, lifecycle.SHUTDOWN_SECONDS = 1.0, 0.5
    watchdog.INTERPRETER_SECONDS = 5.0

    def build(_settings: ServiceSettings, health: ServiceHealth) -> Service:
        async def run() -> None:
            print(STARTED, flush=True)  # noqa: T201 - the test waits for it
            await KINDS[kind](health)

        return Service(run)

    main = partial(lifecycle.run_service, "hanging", build)
    lifecycle.run("hanging", ServiceSettings, main, uvloop.new_event_loop if "--uvloop" in sys.argv else None)


if __name__ == "__main__":
    main(sys.argv[1])
