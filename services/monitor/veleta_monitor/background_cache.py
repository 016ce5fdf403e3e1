"""What was last answered to a slow question. The page looks at it as often as it likes and never waits for long."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from veleta.clock import Clock
from veleta.errors import Retry

T = TypeVar("T")
log = structlog.get_logger()

FIRST_ANSWER_SECONDS = 1.0
"""How long after the first question a look waits, so that a page opens with its figures if they come soon."""
PATIENCE = timedelta(seconds=20)
"""A question that is open for longer counts as not answered."""
REST = 9
"""After an answer a question rests for so many times as long as it took: at most a tenth of the time is spent on it."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The last value known, None before the first, and the moment (UTC) it is from; `trouble` completes a sentence.

    `does not answer: ...`, or empty when the last try went well.
    """

    value: T | None = None
    at: datetime | None = None
    trouble: str = ""


def in_background(work: Callable[[], None]) -> None:
    """Run in a thread that does not keep the process from ending."""
    threading.Thread(target=work, daemon=True).start()


class Glance(Generic[T]):
    """Asks again when the answer is older than `every`, only while somebody looks, and once for all who look."""

    def __init__(
        self,
        ask: Callable[[], T],
        every: timedelta,
        clock: Clock,
        run: Callable[[Callable[[], None]], None] = in_background,
        first_answer_seconds: float = FIRST_ANSWER_SECONDS,
    ) -> None:
        self._ask = ask
        self._every = every
        self._clock = clock
        self._run = run
        self._first_answer_seconds = first_answer_seconds
        self._answer = Answer[T]()
        self._asked_at: datetime | None = None
        self._due_at = clock()
        self._lock = threading.Lock()
        self._answered = threading.Event()

    def look(self) -> Answer[T]:
        """The newest answer. It blocks only until the first one is there, and not for long."""
        if self._take_turn():
            self._run(self._refresh)
        self._answered.wait(self._grace())
        return self._judged()

    def _grace(self) -> float:
        """Seconds that are left to wait for the first answer; the next look does not wait anew."""
        with self._lock:
            waited = self._clock() - self._asked_at if self._asked_at else timedelta()
        return max(0.0, self._first_answer_seconds - waited.total_seconds())

    def _take_turn(self) -> bool:
        with self._lock:
            now = self._clock()
            if self._asked_at is not None or now < self._due_at:
                return False
            self._asked_at = now
            return True

    def _refresh(self) -> None:
        answer = self._new_answer()
        with self._lock:
            now = self._clock()
            took = now - (self._asked_at or now)
            self._answer = answer
            self._asked_at = None
            self._due_at = now + (self._every if answer.trouble else max(self._every, REST * took))
        self._answered.set()

    def _new_answer(self) -> Answer[T]:
        try:
            return Answer(self._ask(), self._clock())
        except Retry as away:
            return replace(self._answer, trouble=f"does not answer: {str(away).removeprefix(f'{away.dependency}: ')}")
        except Exception as error:
            trouble = f"could not be read ({type(error).__name__}); the monitor's log says why"
            if trouble != self._answer.trouble:
                log.exception("could not look")
            return replace(self._answer, trouble=trouble)

    def _judged(self) -> Answer[T]:
        with self._lock:
            waiting = self._clock() - self._asked_at if self._asked_at else timedelta()
            if waiting > PATIENCE and not self._answer.trouble:
                return replace(self._answer, trouble=f"has not answered for {waiting.total_seconds():.0f} s")
            return self._answer
