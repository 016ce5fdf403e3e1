"""Sends the commands of the page's buttons to the poller in the background, so that the page does not wait."""

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from veleta.errors import Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused
from veleta_monitor.background_cache import run_in_background
from veleta_monitor.domain.table import Tone

SendCommand = Callable[[type[Command], str], CommandAccepted | CommandRefused]
"""Sends a command of the visitor at an address, and waits for its answer. Raises Retry if there is none."""
CLICKS = "clicks"
log = structlog.get_logger()


@dataclass(frozen=True)
class CommandStatus:
    """The status of the last command, as the page shows it."""

    text: str = ""
    tone: Tone = ""


class CommandSender:
    """Sends commands. `status` is that of the last command of all visitors; late answers to older ones are ignored."""

    def __init__(
        self, send_command: SendCommand, run: Callable[[Callable[[], None]], None] = run_in_background
    ) -> None:
        self._send_command = send_command
        self._run = run
        self._lock = threading.Lock()
        self._number = 0
        self.status = CommandStatus()

    def send(self, kind: type[Command], address: str) -> None:
        """Send a command of the visitor at an address; `status` shows what becomes of it."""
        with self._lock:
            self._number += 1
            number = self._number
            self.status = CommandStatus(f"{kind.TYPE}: waiting for the poller's answer", "neutral")
        self._run(partial(self._send, number, kind, address))

    def _send(self, number: int, kind: type[Command], address: str) -> None:
        status = self._result(kind, address)
        with self._lock:
            if number == self._number:
                self.status = status

    def _result(self, kind: type[Command], address: str) -> CommandStatus:
        try:
            answer = self._send_command(kind, address)
        except Retry as error:
            return CommandStatus(f"{kind.TYPE}: {error}", "bad")
        except Exception as error:
            log.exception("command not sent", command=kind.TYPE)
            return CommandStatus(f"{kind.TYPE}: not sent ({type(error).__name__}). See the monitor's log.", "bad")
        if isinstance(answer, CommandRefused):
            return CommandStatus(f"{kind.TYPE} was refused: {answer.reason}", "warn")
        return CommandStatus(f"{kind.TYPE}: {answer.effect}", "good")


def next_click(session: MutableMapping[Any, Any], counter: str = CLICKS) -> int:
    """The number of the next click in a visitor's session state. Sections that are drawn apart count apart."""
    return int(session.get(counter, 0))


def first_delivery(number: int, session: MutableMapping[Any, Any], counter: str = CLICKS) -> bool:
    """Whether the click with this number is delivered for the first time. Streamlit may deliver it again."""
    if number != next_click(session, counter):
        return False
    session[counter] = number + 1
    return True
