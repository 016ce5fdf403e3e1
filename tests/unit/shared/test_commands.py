"""A command and its one reply, on a topic in memory."""

from datetime import UTC, datetime
from typing import Any

import pytest

from support.twins.shared import MemoryLog
from veleta import commands
from veleta.commands import PendingCommands
from veleta.errors import Retry
from veleta.events.catalogue import CommandAccepted, CommandRefused, Pause, Payload, Poll, Resume
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.topics import topic

TOPIC = topic("d", "commands")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def records(log: MemoryLog) -> list[Record]:
    """All records of the topic."""
    _, end = log.bounds(TOPIC)[0]
    return list(log.read(TOPIC, 0, 0, end - 1))


def publish(log: MemoryLog, event_id: str, payload: Payload, **headers: str) -> None:
    """Publish an event, with additional headers."""
    message = encode(TOPIC, Event(event_id, "test", NOW, payload))
    more = tuple((name, text.encode()) for name, text in headers.items())
    log.publish([Message(message.topic, message.key, (*message.headers, *more), message.value)])


def poll(reason: str = "") -> Poll:
    return Poll(dataset="d", actor="ana", reason=reason)


def pending_commands(start_offset: int = 0) -> PendingCommands:
    """Of the poller, which handles two types here."""
    return PendingCommands("poller", (Poll, Pause), start_offset)


def due(pending: PendingCommands) -> list[tuple[str, bool]]:
    """The commands that are due: id, and whether it was sent before the start."""
    return [(command.id, command.sent_before_start) for command in pending.take_due()]


class ReplyingLog(MemoryLog):
    """Publishes a reply to each command as soon as it is published, after a reply to another command."""

    def __init__(self, reply: type[CommandAccepted | CommandRefused], **fields: str) -> None:
        super().__init__()
        self._reply = reply
        self._fields = fields

    def publish(self, messages: Any) -> list[tuple[int, int]]:
        places = super().publish(messages)
        command = dict(messages[0].headers)["ce_id"].decode()
        for name in ("d/poll/another", command):
            payload = self._reply(dataset="d", command=name, **self._fields)
            super().publish([encode(TOPIC, Event(f"{name}/reply", "poller", NOW, payload))])
        return places


def test_the_sender_gets_the_reply_to_the_command() -> None:
    """The effect or the reason. Replies to other commands are ignored."""
    accepted = commands.send_command(ReplyingLog(CommandAccepted, effect="done"), poll(), "shell", lambda: NOW)
    refused = commands.send_command(ReplyingLog(CommandRefused, reason="no"), poll(), "shell", lambda: NOW)
    assert isinstance(accepted, CommandAccepted)
    assert accepted.effect == "done"
    assert accepted.command != "d/poll/another"
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "no"


def test_each_command_has_its_own_id_and_names_its_actor() -> None:
    """A person may send the same command twice."""
    log = ReplyingLog(CommandAccepted, effect="done")
    for _ in range(2):
        commands.send_command(log, poll("why not"), "shell", lambda: NOW)
    sent = [event for event in map(decode, records(log)) if isinstance(event.payload, Poll)]
    assert len({event.id for event in sent}) == 2
    assert [(event.payload.actor, event.payload.reason) for event in sent] == [("ana", "why not")] * 2  # type: ignore[attr-defined]  # they are polls


@pytest.mark.failure("F88")
def test_a_missing_reply_is_reported_after_the_timeout() -> None:
    """The command stays in the topic."""
    log = MemoryLog()
    with pytest.raises(Retry, match=r"poll was sent and may still take effect: .*no reply within 0\.3 s"):
        commands.send_command(log, poll(), "shell", lambda: NOW, timeout=0.3)
    assert len(records(log)) == 1


def test_pending_commands_are_returned_once_and_in_order() -> None:
    """Commands of other services and unreadable records are ignored."""
    log, pending = MemoryLog(), pending_commands()
    publish(log, "1", poll())
    publish(log, "other", Resume(dataset="d", actor="ana"))
    log.publish([Message(TOPIC, "d", (), b"rubbish")])
    publish(log, "2", Pause(dataset="d", actor="ana"))
    pending.on_records(records(log))
    assert due(pending) == [("1", False), ("2", False)]
    assert due(pending) == []


def test_a_command_with_a_reply_is_not_due() -> None:
    """After a restart the whole topic is read again."""
    log, pending = MemoryLog(), pending_commands(start_offset=3)
    publish(log, "1", poll())
    publish(log, "1/accepted", CommandAccepted(dataset="d", command="1", effect="done"))
    publish(log, "2", poll())
    pending.on_records(records(log))
    assert due(pending) == [("2", True)]


def test_nothing_is_due_before_all_earlier_records_are_read() -> None:
    """The reply to a command may follow it."""
    log, pending = MemoryLog(), pending_commands(start_offset=2)
    publish(log, "1", poll())
    publish(log, "1/refused", CommandRefused(dataset="d", command="1", reason="no"))
    publish(log, "2", poll())
    first, second, third = records(log)
    pending.on_records([first])
    assert due(pending) == []
    pending.on_records([second])
    assert due(pending) == []
    pending.on_records([third])
    assert due(pending) == [("2", False)]


@pytest.mark.failure("F92")
def test_a_command_resent_to_another_service_is_ignored() -> None:
    """A resent record names the one service that handles it."""
    log, pending = MemoryLog(), pending_commands()
    publish(log, "1", poll(), ce_to="trainer")
    pending.on_records(records(log))
    assert due(pending) == []


def test_commands_in_a_recreated_topic_are_new() -> None:
    """Although its offsets are below the start offset."""
    log, pending = MemoryLog(), pending_commands(start_offset=2)
    publish(log, "1", poll())
    publish(log, "2", poll())
    pending.on_records(records(log))
    assert due(pending) == [("1", True), ("2", True)]
    recreated = MemoryLog()
    publish(recreated, "3", poll())
    pending.on_records(records(recreated))
    assert due(pending) == [("3", False)]


def test_a_command_with_a_reply_that_is_delivered_again_is_not_due() -> None:
    """After an outage of Kafka records may be delivered twice."""
    log, pending = MemoryLog(), pending_commands()
    publish(log, "1", poll())
    publish(log, "1/accepted", CommandAccepted(dataset="d", command="1", effect="done"))
    pending.on_records(records(log))
    pending.on_records(records(log)[:1])
    assert due(pending) == []
