"""The cache of slow reads."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from veleta.clock import utc_now
from veleta.errors import Retry
from veleta_monitor.background_cache import BackgroundCache

START = datetime(2026, 1, 2, tzinfo=UTC)
MAX_AGE = timedelta(seconds=3)


class Clock:
    """A clock that only a test advances."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def run_now(work: Callable[[], None]) -> None:
    work()


def test_a_value_is_cached_until_it_is_old() -> None:
    """However many callers there are, the source is read once in `max_age`."""
    clock, reads = Clock(), list[int]()

    def read() -> int:
        reads.append(1)
        return len(reads)

    cache = BackgroundCache(read, MAX_AGE, clock, run_now)
    cache.get()
    clock.advance(2.9)
    cache.get()
    assert len(reads) == 1
    clock.advance(0.1)
    assert cache.get().value == 2


def test_a_slow_source_is_read_less_often() -> None:
    """After a read of 2 s there is a pause of 18 s, so a large table is not counted all the time."""
    clock, reads = Clock(), list[datetime]()

    def slow() -> None:
        reads.append(clock())
        clock.advance(2)

    cache = BackgroundCache(slow, MAX_AGE, clock, run_now)
    for _ in range(30):
        cache.get()
        clock.advance(1)
    assert [(at - START).total_seconds() for at in reads] == [0, 20]


def test_an_unavailable_source_is_read_again_soon() -> None:
    """The pause does not depend on how long the failed read took. So the page soon shows that the source is back."""
    clock, reads = Clock(), list[datetime]()

    def unavailable() -> None:
        reads.append(clock())
        clock.advance(5)
        raise Retry("kafka", "no broker")

    cache = BackgroundCache(unavailable, MAX_AGE, clock, run_now)
    for _ in range(4):
        cache.get()
        clock.advance(1)
    assert [(at - START).total_seconds() for at in reads] == [0, 8]


def test_the_last_value_remains_while_its_source_is_unavailable() -> None:
    """The last value and its time are returned with the error. The error disappears when the source is back."""
    clock, unavailable = Clock(), list[bool]()

    def read() -> str:
        if unavailable:
            raise Retry("mysql", "connection refused")
        return "rows"

    cache = BackgroundCache(read, MAX_AGE, clock, run_now)
    cache.get()
    unavailable.append(True)
    clock.advance(5)
    cached = cache.get()
    assert (cached.value, cached.read_at, cached.error) == ("rows", START, "is unavailable: connection refused")
    unavailable.clear()
    clock.advance(5)
    assert cache.get().error == ""


def test_an_unexpected_error_becomes_a_sentence() -> None:
    """The page never shows a traceback; the log has it."""

    def broken() -> None:
        raise KeyError("secret")

    cached = BackgroundCache(broken, MAX_AGE, Clock(), run_now).get()
    assert cached.error == "could not be read (KeyError). See the monitor's log"


def test_a_read_that_does_not_return_is_an_error() -> None:
    """No caller waits for it. The error gives the time without a response, and no second read starts."""
    clock, started = Clock(), list[Callable[[], None]]()
    cache = BackgroundCache(lambda: "late", MAX_AGE, clock, started.append, first_value_seconds=0)
    cache.get()
    clock.advance(30)
    assert cache.get().error == "has not responded for 30 s"
    assert len(started) == 1
    started[0]()
    assert cache.get().value == "late"


@pytest.mark.failure("F139")
def test_before_the_first_value_there_is_no_error() -> None:
    """A read that has just started has no value and no error, so the page shows that it is loading."""
    cached = BackgroundCache(lambda: "soon", MAX_AGE, Clock(), lambda _: None, first_value_seconds=0).get()
    assert (cached.value, cached.error) == (None, "")


def test_all_callers_together_wait_once_for_the_first_value() -> None:
    """A page requests the same value in many places. Together they wait as long as one."""
    cache = BackgroundCache(lambda: "never", MAX_AGE, utc_now, lambda _: None, first_value_seconds=0.2)
    started_at = time.monotonic()
    for _ in range(10):
        cache.get()
    assert time.monotonic() - started_at < 1
