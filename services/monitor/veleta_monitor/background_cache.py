"""Caches the result of a slow read, so that the page can use it often and rarely waits."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

import structlog

from veleta.clock import Clock
from veleta.errors import Retry

T = TypeVar("T")
log = structlog.get_logger()

FIRST_VALUE_SECONDS = 1.0
"""How long `get` waits for the first value, so that a new page opens with values if they arrive soon."""
TIMEOUT_SECONDS = 6.0
"""A read that takes longer is reported as an error."""
BACKOFF_FACTOR = 9
"""The pause after a read, in durations of that read: reading takes a tenth of the time at most."""


@dataclass(frozen=True)
class CachedValue(Generic[T]):
    """The last value, and when (UTC) it was read; None before the first.

    `error` completes a sentence about the source: `is unavailable: ...`. It is empty if the last read succeeded.
    """

    value: T | None = None
    read_at: datetime | None = None
    error: str = ""


def run_in_background(work: Callable[[], None]) -> None:
    """Run in a thread that does not prevent the process from exiting."""
    threading.Thread(target=work, daemon=True).start()


class BackgroundCache(Generic[T]):
    """Reads again when the value is older than `max_age` seconds: only if it is requested, once for all callers.

    `clock` gives the time of a value. Durations are measured with `timer`, which no change of the clock affects.
    """

    def __init__(
        self,
        read: Callable[[], T],
        max_age: float,
        clock: Clock,
        run: Callable[[Callable[[], None]], None] = run_in_background,
        first_value_seconds: float = FIRST_VALUE_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._max_age = max_age
        self._clock = clock
        self._run = run
        self._first_value_seconds = first_value_seconds
        self._cached = CachedValue[T]()
        self._timer = timer
        self._started_at: float | None = None
        self._due_at = timer()
        self._lock = threading.Lock()
        self._finished_once = threading.Event()

    def get(self) -> CachedValue[T]:
        """The newest value. Blocks only before the first one, for `first_value_seconds` in all calls together."""
        if self._start():
            self._run(self._refresh)
        self._finished_once.wait(max(0.0, self._first_value_seconds - self._running_for()))
        return self._with_timeout()

    def _start(self) -> bool:
        """Whether this call must start a read."""
        with self._lock:
            now = self._timer()
            if self._started_at is not None or now < self._due_at:
                return False
            self._started_at = now
            return True

    def _running_for(self) -> float:
        started_at = self._started_at
        return 0.0 if started_at is None else self._timer() - started_at

    def _refresh(self) -> None:
        result = self._result()
        with self._lock:
            pause = self._max_age if result.error else max(self._max_age, BACKOFF_FACTOR * self._running_for())
            self._cached = result
            self._started_at = None
            self._due_at = self._timer() + pause
        self._finished_once.set()

    def _result(self) -> CachedValue[T]:
        try:
            return CachedValue(self._read(), self._clock())
        except Retry as error:
            reason = str(error).removeprefix(f"{error.dependency}: ")
            return replace(self._cached, error=f"is unavailable: {reason}")
        except Exception as error:
            message = f"could not be read ({type(error).__name__}). See the monitor's log"
            if message != self._cached.error:
                log.exception("read failed")
            return replace(self._cached, error=message)

    def _with_timeout(self) -> CachedValue[T]:
        with self._lock:
            running_for = self._running_for()
            if running_for > TIMEOUT_SECONDS and not self._cached.error:
                return replace(self._cached, error=f"has not responded for {running_for:.0f} s")
            return self._cached
