"""Commands: a person asks a service for something on the topic `commands`; it answers there, once."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from veleta.clock import Clock
from veleta.errors import Reject, Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandAnswer, CommandRefused
from veleta.events.envelope import Event, Record, decode, encode, is_for, trace_of
from veleta.ports import EventLog, Subscription
from veleta.topics import topic

ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.2
log = structlog.get_logger()


def send_command(
    event_log: EventLog, command: Command, source: str, clock: Clock, seconds: float = ANSWER_SECONDS
) -> CommandAccepted | CommandRefused:
    """Send a command and wait for its answer. Its id is the one that is not derived: a person may ask twice.

    Raises:
        Retry: the broker is away (`kafka`), or no answer was heard within `seconds` (`answer`). Then the command lies
            in the topic: a service that waits may still follow it, one that is down refuses it at its start.
    """
    name = topic(command.dataset, "commands")
    command_id = f"{command.dataset}/{command.TYPE}/{uuid4()}"
    asked = Event(command_id, source, clock(), command, trace=trace_of(command_id))
    ((partition, offset),) = event_log.publish([encode(name, asked)])
    try:
        subscription = event_log.subscribe([name], offsets={(name, partition): offset + 1})
        with contextlib.closing(subscription):
            return _answer(subscription, command_id, seconds)
    except Retry as away:
        raise Retry("answer", f"{command.TYPE} was sent and may still take effect: {away}") from away


def _answer(subscription: Subscription, command_id: str, seconds: float) -> CommandAccepted | CommandRefused:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for record in subscription.poll(POLL_SECONDS):
            event = _readable(record)
            payload = event.payload if event else None
            if isinstance(payload, CommandAccepted | CommandRefused) and payload.command == command_id:
                return payload
    raise Retry("answer", f"nobody answered within {seconds:g} s")


@dataclass(frozen=True)
class PendingCommand:
    """A command that waits for its answer. `late`: it was sent before the service started."""

    id: str
    command: Command
    late: bool


class PendingCommands:
    """The commands for one service that wait for its answer. It is fed by `veleta.tail` from the topic's beginning."""

    def __init__(self, service: str, command_types: tuple[type[Command], ...], began: int) -> None:
        """`takes` are the commands of this service; `began` is the topic's next offset when the service started."""
        self._service = service
        self._takes = command_types
        self._began = began
        self._caught_up = began == 0
        self._answered: set[str] = set()
        self._waiting: dict[str, PendingCommand] = {}

    def take(self, records: Sequence[Record]) -> None:
        """The next records of the topic."""
        for record in records:
            event = _readable(record)
            payload = event.payload if event else None
            if event and isinstance(payload, self._takes) and is_for(self._service, record):
                if event.id not in self._answered:
                    self._waiting[event.id] = PendingCommand(event.id, payload, late=not self._caught_up)
            elif isinstance(payload, CommandAnswer):
                self._answered.add(payload.command)
                self._waiting.pop(payload.command, None)
            self._caught_up = self._caught_up or record.offset + 1 >= self._began

    def due(self) -> list[PendingCommand]:
        """The commands that are to be answered now, each handed out once, in their order.

        None until all that lay in the topic when the service started has been read: an answer may lie behind.
        """
        if not self._caught_up:
            return []
        due = list(self._waiting.values())
        self._waiting.clear()
        return due


def _readable(record: Record) -> Event | None:
    try:
        return decode(record)
    except Reject as error:
        log.error("unreadable command", topic=record.topic, offset=record.offset, reason=str(error))  # noqa: TRY400
        return None
