"""Liveness and readiness of one process: the state behind /livez and /readyz."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog

from veleta.errors import Retry, Stop
from veleta.timeouts import CHECK_SECONDS, PAUSE_SECONDS

T = TypeVar("T")
log = structlog.get_logger()

LIVENESS_SECONDS = 300.0
"""A process is not alive if one of its supervised loops made no progress for this long. No call takes longer."""
INITIAL_BACKOFF, MAX_BACKOFF, BACKOFF_FACTOR = 0.2, 10.0, 2.0
"""Seconds before the first retry and at most between two, and the growth from one to the next."""

STARTUP = "start"
"""The pseudo-dependency that is unavailable until `mark_started`."""
NO_CORES = "other applications have all cores of the cluster"
"""A warning of what needs a session of Spark, and waits for it."""

_loop: ContextVar[str] = ContextVar("loop", default=STARTUP)
"""The supervised loop that this code belongs to, in its task and in the threads that it calls."""


class ServiceHealth:
    """Liveness and readiness of one process.

    It belongs to one event loop. Threads may call `heartbeat` and `set_activity`. A heartbeat counts for the
    supervised loop that calls it; one of another task, such as a watch, has no effect.
    """

    def __init__(self, service: str, liveness_seconds: float = LIVENESS_SECONDS) -> None:
        """Without progress for `liveness_seconds` it is not alive; 0: it always is."""
        self.service = service
        self.stopping = asyncio.Event()
        self.activity = "starting"
        self._shown = ""
        self.stop_reason = ""
        self.warnings: dict[str, str] = {}
        """What a person should look at, by subject. A service with warnings is ready."""
        self._unavailable: dict[str, str] = {STARTUP: "not yet started"}
        self._liveness_seconds = liveness_seconds
        self._heartbeats = {STARTUP: time.monotonic()}

    @property
    def alive(self) -> bool:
        """Whether each supervised loop made progress recently."""
        return not self.stuck()

    @property
    def supervised(self) -> set[str]:
        """The names of the supervised loops: only `start` before the first one."""
        return set(self._heartbeats)

    def stuck(self, margin: float = 0.0) -> str:
        """The supervised loop that made no progress for `liveness_seconds` and the margin. Empty if there is none."""
        limit = time.monotonic() - self._liveness_seconds - margin
        loop, last = min(self._heartbeats.copy().items(), key=lambda item: item[1])
        return loop if self._liveness_seconds and last <= limit else ""

    async def supervise(self, loop: str, work: Awaitable[T]) -> T:
        """Run a main loop. While it runs, the process is alive only if it makes progress.

        Progress is a heartbeat, a new activity, a sleep, or an attempt of `retry_until_available`.
        """
        self._heartbeats[loop] = time.monotonic()
        self._heartbeats.pop(STARTUP, None)
        context = _loop.set(loop)
        try:
            return await work
        finally:
            _loop.reset(context)
            others = {name: last for name, last in self._heartbeats.items() if name != loop}
            self._heartbeats = others or {STARTUP: time.monotonic()}

    @property
    def ready(self) -> bool:
        """Whether the service has started, consumes, and has no unavailable dependency."""
        return not self.unavailable

    @property
    def unavailable(self) -> dict[str, str]:
        """Each dependency that is missing for readiness, with the reason. Empty if the service is ready."""
        return {**self._unavailable, **({self.service: self.stop_reason} if self.stop_reason else {})}

    def heartbeat(self) -> None:
        """Record that the supervised loop which calls this made progress."""
        if (loop := _loop.get()) in self._heartbeats:
            self._heartbeats[loop] = time.monotonic()

    def show_activity_of(self, loop: str) -> None:
        """Show the activity of one supervised loop only, of a service that has more than one."""
        self._shown = loop

    def set_activity(self, activity: str) -> None:
        """Record a heartbeat and what the service does now. See `show_activity_of`."""
        if self._shown in ("", _loop.get()):
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
        """Sleep, at most until the service stops, after a heartbeat. Returns False if it is stopping."""
        self.heartbeat()
        return await self.wait(seconds)

    async def keep_running(self, loop: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a side loop until it returns. After an unforeseen error run it again; /readyz shows the error meanwhile.

        The loop may report under its own name whether it is available.

        Raises:
            Stop: the process must end.
        """
        reason = ""

        def recover() -> None:
            if self._unavailable.get(loop) == reason:
                self.set_available(loop)

        while True:
            recovered = asyncio.get_running_loop().call_later(CHECK_SECONDS, recover)
            try:
                return await run()
            except Stop:
                raise
            except Exception as error:
                log.exception("a loop failed unexpectedly", loop=loop)
                reason = f"{type(error).__name__}: {error}"
                self.set_unavailable(loop, reason)
            finally:
                recovered.cancel()
            if not await self.wait(PAUSE_SECONDS):
                return None

    async def heartbeat_during(self, call: Awaitable[T]) -> T:
        """Await a call that may take long and has a time-out of its own, with heartbeats."""
        pending = asyncio.ensure_future(call)
        try:
            while not (await asyncio.wait({pending}, timeout=CHECK_SECONDS))[0]:
                self.heartbeat()
            return pending.result()
        finally:
            pending.cancel()

    async def cancel_on_stop(self, call: Awaitable[None]) -> None:
        """Await a call. When the service stops, the call is cancelled, and this returns when it has ended."""
        running = asyncio.ensure_future(call)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            running.cancel()
            await asyncio.wait({running})
        if not running.cancelled():
            running.result()

    async def wait(self, seconds: float) -> bool:
        """Sleep, at most until the service stops, without a heartbeat. Returns False if it is stopping."""
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


async def watch_dependency(
    dependency: str, check: Callable[[], Awaitable[object]], health: ServiceHealth, *, required: bool = True
) -> None:
    """Check a dependency until the service stops, and report on /readyz whether it is available.

    `check` raises Retry if the dependency is unavailable. Without a result after CHECK_SECONDS it is unavailable too:
    then this waits for the same check, because another one would not return earlier. A service is ready without a
    dependency that is not `required`: its outage is a warning.
    """

    def report(outage: str) -> None:
        if not required:
            health.set_warning(dependency, outage)
        elif outage:
            health.set_unavailable(dependency, outage)
        else:
            health.set_available(dependency)

    stopping: asyncio.Future[Any] = asyncio.ensure_future(health.stopping.wait())
    checking: asyncio.Future[Any] = asyncio.ensure_future(check())
    try:
        while not stopping.done():
            await asyncio.wait({checking, stopping}, timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if checking.done():
                report(_outage(checking))
                if await health.wait(PAUSE_SECONDS):
                    checking = asyncio.ensure_future(check())
            elif not stopping.done():
                report(f"{dependency}: no response within {CHECK_SECONDS:g} s")
    finally:
        checking.cancel()
        stopping.cancel()


def _outage(checked: asyncio.Future[Any]) -> str:
    """Why a dependency is unavailable; empty if it is available."""
    try:
        checked.result()
    except Retry as error:
        return str(error)
    except Exception as error:
        log.exception("a check failed unexpectedly")
        return f"{type(error).__name__}: {error}"
    return ""
