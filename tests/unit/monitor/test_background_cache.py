"""The cache of slow reads."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from veleta.clock import utc_now
from veleta.errors import Retry
from veleta_monitor.background_cache import BackgroundCache

START = datetime(2026, 1, 2, tzinfo=UTC)
MAX_AGE = 3.0
T = TypeVar("T")


class Time:
    """A clock and a timer that only a test advances. `jump` changes the clock only."""

    def __init__(self) -> None:
        self.now, self.seconds = START, 0.0

    def clock(self) -> datetime:
        return self.now

    def timer(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.jump(seconds)
        self.seconds += seconds

    def jump(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def run_now(work: Callable[[], None]) -> None:
    work()


def cache_of(
    read: Callable[[], T],
    passing: Time,
    run: Callable[[Callable[[], None]], None] = run_now,
    first_value_seconds: float = 1,
) -> BackgroundCache[T]:
    return BackgroundCache(read, MAX_AGE, passing.clock, run, first_value_seconds, passing.timer)


def test_a_value_is_cached_until_it_is_old() -> None:
    """However many callers there are, the source is read once in `max_age`."""
    passing, reads = Time(), list[int]()

    def read() -> int:
        reads.append(1)
        return len(reads)

    cache = cache_of(read, passing)
    cache.get()
    passing.advance(2.9)
    cache.get()
    assert len(reads) == 1
    passing.advance(0.1)
    assert cache.get().value == 2


def test_a_slow_source_is_read_less_often() -> None:
    """After a read of 2 s there is a pause of 18 s, so a large table is not counted all the time."""
    passing, reads = Time(), list[float]()

    def slow() -> None:
        reads.append(passing.timer())
        passing.advance(2)

    cache = cache_of(slow, passing)
    for _ in range(30):
        cache.get()
        passing.advance(1)
    assert reads == [0, 20]


@pytest.mark.failure("F331")
@pytest.mark.parametrize("hours", [2, -2])
def test_a_jump_of_the_clock_changes_no_pause(hours: int) -> None:
    """The clock jumps during a read. That read is not late, and the next one is due as usual, with the new time."""
    passing, shown = Time(), list[str]()

    def read() -> None:
        passing.jump(hours * 3600)
        shown.append(cache.get().error)

    cache = cache_of(read, passing)
    cache.get()
    passing.advance(MAX_AGE)
    assert cache.get().read_at == passing.now
    assert shown == ["", ""]


def test_an_unavailable_source_is_read_again_soon() -> None:
    """The pause does not depend on how long the failed read took. So the page soon shows that the source is back."""
    passing, reads = Time(), list[float]()

    def unavailable() -> None:
        reads.append(passing.timer())
        passing.advance(5)
        raise Retry("kafka", "no broker")

    cache = cache_of(unavailable, passing)
    for _ in range(4):
        cache.get()
        passing.advance(1)
    assert reads == [0, 8]


def test_the_last_value_remains_while_its_source_is_unavailable() -> None:
    """The last value and its time are returned with the error. The error disappears when the source is back."""
    passing, unavailable = Time(), list[bool]()

    def read() -> str:
        if unavailable:
            raise Retry("mysql", "connection refused")
        return "rows"

    cache = cache_of(read, passing)
    cache.get()
    unavailable.append(True)
    passing.advance(5)
    cached = cache.get()
    assert (cached.value, cached.read_at, cached.error) == ("rows", START, "is unavailable: connection refused")
    unavailable.clear()
    passing.advance(5)
    assert cache.get().error == ""


def test_an_unexpected_error_becomes_a_sentence() -> None:
    """The page never shows a traceback; the log has it."""

    def broken() -> None:
        raise KeyError("secret")

    cached = cache_of(broken, Time()).get()
    assert cached.error == "could not be read (KeyError). See the monitor's log"


def test_a_read_that_does_not_return_is_an_error() -> None:
    """No caller waits for it. The error gives the time without a response, and no second read starts."""
    passing, started = Time(), list[Callable[[], None]]()
    cache = cache_of(lambda: "late", passing, started.append, 0)
    cache.get()
    passing.advance(30)
    assert cache.get().error == "has not responded for 30 s"
    assert len(started) == 1
    started[0]()
    assert cache.get().value == "late"


@pytest.mark.failure("F139")
def test_before_the_first_value_there_is_no_error() -> None:
    """A read that has just started has no value and no error, so the page shows that it is loading."""
    cached = cache_of(lambda: "soon", Time(), lambda _: None, 0).get()
    assert (cached.value, cached.error) == (None, "")


def test_all_callers_together_wait_once_for_the_first_value() -> None:
    """A page requests the same value in many places. Together they wait as long as one."""
    cache = BackgroundCache(lambda: "never", MAX_AGE, utc_now, lambda _: None, first_value_seconds=0.2)
    started_at = time.monotonic()
    for _ in range(10):
        cache.get()
    assert time.monotonic() - started_at < 1
