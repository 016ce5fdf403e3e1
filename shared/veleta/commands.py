"""Commands: a person sends a command to a service on the topic `commands`, and the service replies there once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import structlog

from veleta.clock import Clock
from veleta.errors import Reject, Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandAnswer, CommandRefused
from veleta.events.envelope import Event, Record, decode, encode, is_for, trace_of
from veleta.ports import EventLog, Subscription
from veleta.topics import topic

REPLY_TIMEOUT = 30.0
POLL_SECONDS = 0.2
READ_SECONDS = 0.1
"""The pause between two looks whether all commands are read."""
log = structlog.get_logger()


def send_command(
    event_log: EventLog, command: Command, source: str, clock: Clock, timeout: float = REPLY_TIMEOUT
) -> CommandAccepted | CommandRefused:
    """Send a command and wait up to `timeout` seconds for the reply.

    Unlike other ids, a command's id is random, because a person may send the same command twice.

    Raises:
        Retry: Kafka is unreachable (`kafka`), or no reply came in time (`reply`). After `reply` the command is in the
            topic: a running service may still apply it, and one that starts later refuses it.
    """
    name = topic(command.dataset, "commands")
    command_id = f"{command.dataset}/{command.TYPE}/{uuid4()}"
    event = Event(command_id, source, clock(), command, trace=trace_of(command_id))
    ((partition, offset),) = event_log.publish([encode(name, event)])
    try:
        subscription = event_log.subscribe([name], offsets={(name, partition): offset + 1})
        with contextlib.closing(subscription):
            return _wait_for_reply(subscription, command_id, timeout)
    except Retry as error:
        raise Retry("reply", f"{command.TYPE} was sent and may still take effect: {error}") from error


def _wait_for_reply(subscription: Subscription, command_id: str, timeout: float) -> CommandAccepted | CommandRefused:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for record in subscription.poll(POLL_SECONDS):
            event = _decode(record)
            payload = event.payload if event else None
            if isinstance(payload, CommandAccepted | CommandRefused) and payload.command == command_id:
                return payload
    raise Retry("reply", f"no reply within {timeout:g} s")


def reply_event(dataset: str, service: str, command_id: str, text: str, *, accepted: bool, time: datetime) -> Event:
    """The reply of a service to a command. `text` is the effect, or the reason of the refusal."""
    fields = {"dataset": dataset, "command": command_id}
    payload = CommandAccepted(**fields, effect=text) if accepted else CommandRefused(**fields, reason=text)
    event_id = f"{command_id}/{'accepted' if accepted else 'refused'}"
    return Event(event_id, service, time, payload, cause=command_id, trace=trace_of(command_id))


@dataclass(frozen=True)
class PendingCommand:
    """A command without a reply."""

    id: str
    command: Command
    sent_before_start: bool
    """Whether it was in the topic when the service started."""


class PendingCommands:
    """The commands to one service that have no reply. `veleta.processing.tail` feeds it from the topic's beginning."""

    def __init__(self, service: str, command_types: tuple[type[Command], ...], start_offset: int) -> None:
        """`command_types` are those of the service. `start_offset` is the topic's next offset at its start."""
        self._service = service
        self._command_types = command_types
        self._start_offset = start_offset
        self._caught_up = start_offset == 0
        self._replied: set[str] = set()
        self._pending: dict[str, PendingCommand] = {}
        self.next_offset = 0
        """The offset after the last record that was read."""

    def on_records(self, records: Sequence[Record]) -> None:
        """Add the commands and remove those with a reply in these records of the topic."""
        for record in records:
            event = _decode(record)
            payload = event.payload if event else None
            if event and isinstance(payload, self._command_types) and is_for(self._service, record):
                if event.id not in self._replied:
                    pending = PendingCommand(event.id, payload, sent_before_start=not self._caught_up)
                    self._pending[event.id] = pending
            elif isinstance(payload, CommandAnswer):
                self.replied(payload.command)
            self.next_offset = record.offset + 1
            self._caught_up = self._caught_up or self.next_offset >= self._start_offset

    def due(self) -> list[PendingCommand]:
        """The pending commands, in order.

        Empty until all records from before the start are read: a reply may follow its command.
        """
        return list(self._pending.values()) if self._caught_up else []

    def take_due(self) -> list[PendingCommand]:
        """Remove and return the pending commands, in order. See `due`."""
        due = self.due()
        for pending in due:
            self.replied(pending.id)
        return due

    def replied(self, command_id: str) -> None:
        """Record that a command has its reply, which may not have been read yet."""
        self._replied.add(command_id)
        self._pending.pop(command_id, None)


async def read_to_end(
    pending: PendingCommands, event_log: EventLog, name: str, wait: Callable[[float], Awaitable[bool]]
) -> None:
    """Wait until `pending` has read all records that the topic `name` has now.

    `wait` pauses for so many seconds, and returns False if the service stops.

    Raises:
        Retry: Kafka is unreachable, or the service stops.
    """
    bounds = await asyncio.to_thread(event_log.bounds, name)
    end = sum(end for _, end in bounds.values())
    while pending.next_offset < end:
        if not await wait(READ_SECONDS):
            raise Retry("kafka", "stopping")


def _decode(record: Record) -> Event | None:
    try:
        return decode(record)
    except Reject as error:
        log.error("unreadable command", topic=record.topic, offset=record.offset, reason=str(error))  # noqa: TRY400
        return None
