"""What people ask of the poller by a button: sent in the background, so that the page never waits for the answer."""

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from veleta.errors import Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused
from veleta_monitor.background_cache import in_background
from veleta_monitor.domain.formatting import Tone

Ask = Callable[[type[Command]], CommandAccepted | CommandRefused]
"""Sends a command and waits for its answer. Raises Retry when none comes."""
PRESSES = "presses"
log = structlog.get_logger()


@dataclass(frozen=True)
class Word:
    """What is known of the last wish, for people."""

    text: str = ""
    tone: Tone = ""


class Wishes:
    """The last wish of all who have the page open. An older one whose answer comes late says nothing any more."""

    def __init__(self, ask: Ask, run: Callable[[Callable[[], None]], None] = in_background) -> None:
        self._ask = ask
        self._run = run
        self._lock = threading.Lock()
        self._number = 0
        self.last = Word()

    def make(self, kind: type[Command]) -> None:
        """Send it; `last` tells what becomes of it."""
        with self._lock:
            self._number += 1
            number = self._number
            self.last = Word(f"{kind.TYPE}: waiting for the poller's answer", "quiet")
        self._run(partial(self._send, number, kind))

    def _send(self, number: int, kind: type[Command]) -> None:
        word = self._outcome(kind)
        with self._lock:
            if number == self._number:
                self.last = word

    def _outcome(self, kind: type[Command]) -> Word:
        try:
            return _word(kind, self._ask(kind))
        except Retry as away:
            return Word(f"{kind.TYPE}: {away}", "bad")
        except Exception as error:
            log.exception("a command could not be sent")
            return Word(f"{kind.TYPE}: not sent ({type(error).__name__}); the monitor's log says why", "bad")


def next_press(visit: MutableMapping[Any, Any]) -> int:
    """The number of the next press of a visit, whose state is `visit`."""
    return int(visit.get(PRESSES, 0))


def is_news(number: int, visit: MutableMapping[Any, Any]) -> bool:
    """Whether the press of this number was not taken yet; it is from now on."""
    if number != next_press(visit):
        return False
    visit[PRESSES] = number + 1
    return True


def _word(kind: type[Command], answer: CommandAccepted | CommandRefused) -> Word:
    if isinstance(answer, CommandRefused):
        return Word(f"{kind.TYPE} was refused: {answer.reason}", "warn")
    return Word(f"{kind.TYPE}: {answer.effect}", "good")
