"""Ends this process when it hangs. Its supervisor, supervisord or Docker, then starts it again.

The watchdog is a thread, because the event loop and every other thread may be blocked.
"""

import asyncio
import contextlib
import faulthandler
import math
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import structlog

EXIT_CODE = 70
"""The exit code of a process that hung."""
STOP_SECONDS = 25.0
"""A process ends within this time after SIGTERM, whatever hangs. Supervisors send SIGKILL after 30 s."""
EXIT_MARGIN = 5.0
"""How long /livez is 503 before the process ends, so that others can see it."""
TICK_SECONDS = 1.0
INTERPRETER_SECONDS = 300.0
"""The longest call that holds the interpreter lock."""
STDERR = 2
"""Its descriptor: the file `sys.stderr` would be flushed first, which may block."""
LOG_SECONDS = 2.0
"""How long the last log line may take: stderr may be blocked too."""
log = structlog.get_logger()


class Watchdog:
    """Watches one process: that its loops make progress, and that it ends in time after SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.stop_requested = asyncio.Event()
        self._stuck: Callable[[float], str] | None = None
        self._deadline = math.inf

    def start(self) -> None:
        """Start the thread. To be called in the main thread, after the event loop has installed its signal handlers.

        The operating system reports each signal to the thread, which passes it on to the event loop. So it gets the
        signal although the event loop, or a library that it calls, is blocked.
        """
        signals, to_thread = os.pipe()
        os.set_blocking(to_thread, False)
        to_loop = signal.set_wakeup_fd(to_thread, warn_on_full_buffer=False)
        threading.Thread(target=self._run, args=(signals, to_loop), name="watchdog", daemon=True).start()

    def watch(self, stuck: Callable[[float], str]) -> None:
        """End the process when `stuck` names a loop that makes no progress. Its argument is a margin in seconds."""
        self._stuck = stuck
        _limit_call()

    def limit_stop(self) -> None:
        """End the process within STOP_SECONDS from the first call on: it is stopping."""
        self._deadline = min(self._deadline, time.monotonic() + STOP_SECONDS)

    def _run(self, signals: int, to_loop: int) -> None:
        while True:
            if self._stuck:
                _limit_call()
            if select.select([signals], [], [], TICK_SECONDS)[0]:
                received = os.read(signals, 64)
                if {signal.SIGTERM, signal.SIGINT} & set(received):
                    self.limit_stop()
                with contextlib.suppress(OSError):  # the loop is closed
                    os.write(to_loop, received)
            self._check()

    def _check(self) -> None:
        if time.monotonic() > self._deadline:
            _exit(f"it did not stop within {STOP_SECONDS:.0f} s")
        elif self._stuck and self._deadline == math.inf and (loop := self._stuck(EXIT_MARGIN)):
            _exit(f"its loop {loop!r} makes no progress")


def _limit_call() -> None:
    """End the process unless this is called again in time: a call that holds the interpreter lock blocks all threads.

    The thread that does it needs no lock, because it is not one of Python's.
    """
    faulthandler.dump_traceback_later(INTERPRETER_SECONDS, exit=True, file=STDERR)


def _exit(reason: str) -> NoReturn:
    """Log the stacks of all threads in one line, and end this process without any cleaning up."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = {
        names.get(ident, str(ident)): [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame)]
        for ident, frame in sys._current_frames().items()
    }
    write = partial(log.critical, "the process hangs and exits", reason=reason, stacks=stacks)
    logging = threading.Thread(target=write, daemon=True)
    logging.start()
    logging.join(LOG_SECONDS)
    os._exit(EXIT_CODE)
