"""How the monitor keeps answers to slow questions."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from veleta.clock import utc_now
from veleta.errors import Retry
from veleta_monitor.background_cache import Glance

START = datetime(2026, 1, 2, tzinfo=UTC)
EVERY = timedelta(seconds=3)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def at_once(work: Callable[[], None]) -> None:
    work()


def test_an_answer_is_kept_until_it_is_old() -> None:
    """However many look, the question is asked once in `every`."""
    clock, asked = Clock(), list[int]()

    def ask() -> int:
        asked.append(1)
        return len(asked)

    shown = Glance(ask, EVERY, clock, at_once)
    shown.look()
    clock.move(2.9)
    shown.look()
    assert len(asked) == 1
    clock.move(0.1)
    assert shown.look().value == 2


def test_a_slow_question_is_asked_less_often() -> None:
    """A question that takes 2 s rests for 18 s: a large table is not counted without a pause."""
    clock, asked = Clock(), list[datetime]()

    def slow() -> None:
        asked.append(clock())
        clock.move(2)

    shown = Glance(slow, EVERY, clock, at_once)
    for _ in range(30):
        shown.look()
        clock.move(1)
    assert [(at - START).total_seconds() for at in asked] == [0, 20]


def test_a_source_that_is_away_is_asked_again_soon() -> None:
    """However long it took to find out: so the page sees at once that it is back."""
    clock, asked = Clock(), list[datetime]()

    def away() -> None:
        asked.append(clock())
        clock.move(5)
        raise Retry("kafka", "no broker")

    shown = Glance(away, EVERY, clock, at_once)
    for _ in range(4):
        shown.look()
        clock.move(1)
    assert [(at - START).total_seconds() for at in asked] == [0, 8]


def test_what_was_known_stays_while_its_source_is_away() -> None:
    """The last value and its time are kept beside the sentence that says what is away; both end when it is back."""
    clock, away = Clock(), list[bool]()

    def ask() -> str:
        if away:
            raise Retry("mysql", "connection refused")
        return "figures"

    shown = Glance(ask, EVERY, clock, at_once)
    shown.look()
    away.append(True)
    clock.move(5)
    answer = shown.look()
    assert (answer.value, answer.at, answer.trouble) == ("figures", START, "does not answer: connection refused")
    away.clear()
    clock.move(5)
    assert shown.look().trouble == ""


def test_a_fault_that_nobody_foresaw_becomes_a_sentence() -> None:
    """The page never shows a traceback; the log has it."""

    def broken() -> None:
        raise KeyError("secret")

    answer = Glance(broken, EVERY, Clock(), at_once).look()
    assert answer.trouble == "could not be read (KeyError); the monitor's log says why"


def test_a_question_without_an_end_is_told() -> None:
    """Nobody waits for it; the page says for how long there was no answer, and no second question is asked."""
    clock, begun = Clock(), list[Callable[[], None]]()
    shown = Glance(lambda: "late", EVERY, clock, begun.append, first_answer_seconds=0)
    shown.look()
    clock.move(30)
    assert shown.look().trouble == "has not answered for 30 s"
    assert len(begun) == 1
    begun[0]()
    assert shown.look().value == "late"


def test_before_the_first_answer_nothing_is_wrong_yet() -> None:
    """A question that has just been asked has no value and no trouble: the page says that it asks."""
    answer = Glance(lambda: "soon", EVERY, Clock(), lambda _: None, first_answer_seconds=0).look()
    assert (answer.value, answer.trouble) == (None, "")


def test_only_the_first_look_waits() -> None:
    """A page looks at the same thing in many places: together they wait as long as one."""
    shown = Glance(lambda: "never", EVERY, utc_now, lambda _: None, first_answer_seconds=0.2)
    began = time.monotonic()
    for _ in range(10):
        shown.look()
    assert time.monotonic() - began < 1
