"""Liveness and readiness of one process: the state behind /livez and /readyz."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from veleta.errors import Retry

T = TypeVar("T")
log = structlog.get_logger()

LIVENESS_SECONDS = 300.0
"""A process without a heartbeat for this long is not alive. The largest batch loads in less."""
CHECK_SECONDS = 10.0
"""The pause between two checks of a dependency that is available."""
RETRY_SECONDS = 2.0
"""The pause between two checks of a dependency that is unavailable."""
INITIAL_BACKOFF, MAX_BACKOFF, BACKOFF_FACTOR = 0.2, 10.0, 2.0
"""Seconds before the first retry and at most between two, and the growth from one to the next."""

STARTUP = "start"
"""The pseudo-dependency that is unavailable until `mark_started`."""


class ServiceHealth:
    """Liveness and readiness of one process.

    It belongs to one event loop. Threads may call `heartbeat` and `set_activity`.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.stopping = asyncio.Event()
        self.activity = "starting"
        self.stop_reason = ""
        self.warnings: dict[str, str] = {}
        """What a person should look at, by subject. A service with warnings is ready."""
        self._unavailable: dict[str, str] = {STARTUP: "not yet started"}
        self._last_heartbeat = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the last heartbeat is recent."""
        return time.monotonic() - self._last_heartbeat < LIVENESS_SECONDS

    @property
    def ready(self) -> bool:
        """Whether the service has started, consumes, and has no unavailable dependency."""
        return not self.unavailable

    @property
    def unavailable(self) -> dict[str, str]:
        """Each dependency that is missing for readiness, with the reason. Empty if the service is ready."""
        return {**self._unavailable, **({self.service: self.stop_reason} if self.stop_reason else {})}

    def heartbeat(self) -> None:
        """Record that the main loop made progress."""
        self._last_heartbeat = time.monotonic()

    def set_activity(self, activity: str) -> None:
        """Record a heartbeat and what the service does now."""
        self.activity = activity
        self.heartbeat()

    def mark_started(self) -> None:
        """Record that start-up is complete."""
        self.set_available(STARTUP)

    def set_unavailable(self, dependency: str, reason: str) -> None:
        """Make the service not ready because of `dependency`."""
        if self._unavailable.get(dependency) != reason:
            log.warning("unavailable", dependency=dependency, reason=reason)
        self._unavailable[dependency] = reason

    def set_available(self, dependency: str) -> None:
        """Record that `dependency` is available (again)."""
        if self._unavailable.pop(dependency, None) is not None and dependency != STARTUP:
            log.info("available", dependency=dependency)

    def set_warning(self, subject: str, warning: str) -> None:
        """Show a warning on /readyz, in `make status` and on the monitor. An empty one removes it."""
        if warning and self.warnings.get(subject) != warning:
            log.warning("warning", subject=subject, warning=warning)
        self.warnings = {name: text for name, text in {**self.warnings, subject: warning}.items() if text}

    def stop_consuming(self, reason: str) -> None:
        """Stop consuming until the service restarts; /readyz shows the reason."""
        self.stop_reason = reason
        log.error("stopped consuming", reason=reason)

    async def sleep(self, seconds: float) -> bool:
        """Sleep, at most until the service stops. Returns False if it is stopping."""
        self.heartbeat()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return not self.stopping.is_set()

    async def retry_until_available(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it does not raise Retry, with exponential backoff; /readyz shows what is unavailable.

        Raises:
            asyncio.CancelledError: the service is stopping.
        """
        unavailable: set[str] = set()
        backoff = INITIAL_BACKOFF
        while True:
            try:
                result = await call()
            except Retry as error:
                unavailable.add(error.dependency)
                self.set_unavailable(error.dependency, str(error))
            else:
                for dependency in unavailable:
                    self.set_available(dependency)
                return result
            if not await self.sleep(backoff):
                raise asyncio.CancelledError("stopping")
            backoff = min(BACKOFF_FACTOR * backoff, MAX_BACKOFF)


async def watch_dependency(dependency: str, check: Callable[[], Awaitable[object]], health: ServiceHealth) -> None:
    """Check a dependency until the service stops, and report on /readyz whether it is available.

    `check` raises Retry if the dependency is unavailable.
    """
    running = True
    while running:
        try:
            await check()
        except Retry as error:
            health.set_unavailable(dependency, str(error))
            running = await health.sleep(RETRY_SECONDS)
        else:
            health.set_available(dependency)
            running = await health.sleep(CHECK_SECONDS)
