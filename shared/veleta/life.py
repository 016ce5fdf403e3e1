"""What one process says of itself: that it lives, whether it is ready, what it does and what it waits for."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog

from veleta.errors import Retry

T = TypeVar("T")
log = structlog.get_logger()

QUIET_SECONDS = 300.0
"""A loop that made no progress for so long counts as dead: longer than the largest batch takes to load."""
CHECK_SECONDS = 10.0
"""How old the last sign of life of a part may be while /readyz is 200."""
AWAY_SECONDS = 2.0
"""How soon a part that gave none is asked again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0


class Life:
    """The state behind /livez and /readyz. It belongs to one event loop; threads may call `beat` and `busy`."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.stopping = asyncio.Event()
        self.doing = "starting"
        self.halted = ""
        self._missing: dict[str, str] = {"start": "not yet started"}
        self._beat = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop made progress lately."""
        return time.monotonic() - self._beat < QUIET_SECONDS

    @property
    def waits_for(self) -> dict[str, str]:
        """What is missing to be ready, each with its reason; empty when ready."""
        return {**self._missing, **({self.service: self.halted} if self.halted else {})}

    def beat(self) -> None:
        """The loop made progress."""
        self._beat = time.monotonic()

    def busy(self, doing: str) -> None:
        """The loop made progress, and this is what it does now."""
        self.doing = doing
        self.beat()

    def started(self) -> None:
        """The service stands."""
        self.found("start")

    def lacks(self, what: str, reason: str) -> None:
        """Not ready: `what` is missing."""
        if self._missing.get(what) != reason:
            log.warning("waiting", waits_for=what, reason=reason)
        self._missing[what] = reason

    def found(self, what: str) -> None:
        """`what` is there (again)."""
        if self._missing.pop(what, None) is not None and what != "start":
            log.info("found", what=what)

    def halt(self, reason: str) -> None:
        """Take nothing more; /readyz says why until somebody starts the service anew."""
        self.halted = reason
        log.error("halted", reason=reason)

    async def pause(self, seconds: float) -> bool:
        """Wait, but not beyond the end of the service: False when it is stopping."""
        self.beat()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return not self.stopping.is_set()

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Do `call` until nothing it needs is away, with growing pauses, saying on /readyz what it waits for.

        Raises:
            asyncio.CancelledError: the service is stopping.
        """
        away: set[str] = set()
        for seconds in _pauses():
            try:
                result = await call()
            except Retry as error:
                away.add(error.what)
                self.lacks(error.what, str(error))
            else:
                for what in away:
                    self.found(what)
                return result
            if not await self.pause(seconds):
                raise asyncio.CancelledError("stopping")
        raise AssertionError("pauses never end")


async def watch(what: str, check: Callable[[], Awaitable[object]], life: Life) -> None:
    """Ask a part for a sign of life until the service stops, and say on /readyz when it gives none.

    `check` raises Retry when there is none.
    """
    going_on = True
    while going_on:
        try:
            await check()
        except Retry as away:
            life.lacks(what, str(away))
            going_on = await life.pause(AWAY_SECONDS)
        else:
            life.found(what)
            going_on = await life.pause(CHECK_SECONDS)


def _pauses() -> Iterator[float]:
    seconds = FIRST_PAUSE
    while True:
        yield seconds
        seconds = min(2 * seconds, LONGEST_PAUSE)
