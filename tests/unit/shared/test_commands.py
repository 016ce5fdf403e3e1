"""A command and its one answer, on a topic in memory."""

from datetime import UTC, datetime
from typing import Any

import pytest

from veleta import commands
from veleta.adapters.memory import MemoryLog
from veleta.commands import PendingCommands
from veleta.errors import Retry
from veleta.events.catalogue import CommandAccepted, CommandRefused, Pause, Payload, Poll, Resume
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.topics import topic

TOPIC = topic("d", "commands")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
TAKES = (Poll, Pause)


def records(log: MemoryLog) -> list[Record]:
    """All that lies in the topic."""
    _, end = log.bounds(TOPIC)[0]
    return list(log.read(TOPIC, 0, 0, end - 1))


def sent(log: MemoryLog, event_id: str, payload: Payload, **headers: str) -> Event:
    """An event in the topic."""
    event = Event(event_id, "test", NOW, payload)
    message = encode(TOPIC, event)
    more = tuple((name, text.encode()) for name, text in headers.items())
    log.publish([Message(message.topic, message.key, (*message.headers, *more), message.value)])
    return event


def poll(reason: str = "") -> Poll:
    return Poll(dataset="d", actor="ana", reason=reason)


class AnsweringLog(MemoryLog):
    """Answers each command as soon as it is published, behind an answer to another one."""

    def __init__(self, answer: type[CommandAccepted | CommandRefused], **words: str) -> None:
        super().__init__()
        self._kind = answer
        self._words = words

    def publish(self, messages: Any) -> list[tuple[int, int]]:
        places = super().publish(messages)
        command = dict(messages[0].headers)["ce_id"].decode()
        for name in ("d/poll/another", command):
            payload = self._kind(dataset="d", command=name, **self._words)
            super().publish([encode(TOPIC, Event(f"{name}/answer", "poller", NOW, payload))])
        return places


def test_who_asks_hears_the_answer_to_his_own_command() -> None:
    """Effect or reason; answers to others pass by."""
    accepted = commands.send_command(AnsweringLog(CommandAccepted, effect="done"), poll(), "shell", lambda: NOW)
    refused = commands.send_command(AnsweringLog(CommandRefused, reason="no"), poll(), "shell", lambda: NOW)
    assert isinstance(accepted, CommandAccepted)
    assert accepted.effect == "done"
    assert accepted.command != "d/poll/another"
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "no"


def test_each_command_has_an_id_of_its_own_and_names_its_actor() -> None:
    """A person may ask twice for the same thing."""
    log = AnsweringLog(CommandAccepted, effect="done")
    for _ in range(2):
        commands.send_command(log, poll("why not"), "shell", lambda: NOW)
    asked = [event for event in map(decode, records(log)) if isinstance(event.payload, Poll)]
    assert len({event.id for event in asked}) == 2
    assert [(event.payload.actor, event.payload.reason) for event in asked] == [("ana", "why not")] * 2  # type: ignore[attr-defined]  # they are polls


@pytest.mark.failure("F30")
def test_nobody_answers() -> None:
    """It is said after the time that was given, and the command stays in the topic."""
    log = MemoryLog()
    with pytest.raises(Retry, match=r"poll was sent and may still take effect: .*nobody answered within 0\.3 s"):
        commands.send_command(log, poll(), "shell", lambda: NOW, seconds=0.3)
    assert len(records(log)) == 1


def test_commands_are_handed_out_once_and_in_their_order() -> None:
    """Those of other services pass by, as does what cannot be read."""
    log, desk = MemoryLog(), PendingCommands("poller", TAKES, began=0)
    sent(log, "1", poll())
    sent(log, "other", Resume(dataset="d", actor="ana"))
    log.publish([Message(TOPIC, "d", (), b"rubbish")])
    sent(log, "2", Pause(dataset="d", actor="ana"))
    desk.take(records(log))
    assert [(asked.id, asked.late) for asked in desk.due()] == [("1", False), ("2", False)]
    assert desk.due() == []


def test_what_was_answered_is_not_due() -> None:
    """After a new start the whole topic is read again, and the answers lie in it."""
    log = MemoryLog()
    sent(log, "1", poll())
    sent(log, "1/accepted", CommandAccepted(dataset="d", command="1", effect="done"))
    sent(log, "2", poll())
    desk = PendingCommands("poller", TAKES, began=3)
    desk.take(records(log))
    assert [(asked.id, asked.late) for asked in desk.due()] == [("2", True)]


def test_nothing_is_due_before_all_that_was_there_is_read() -> None:
    """The answer to a command may lie behind it."""
    log = MemoryLog()
    sent(log, "1", poll())
    sent(log, "1/refused", CommandRefused(dataset="d", command="1", reason="no"))
    sent(log, "2", poll())
    first, second, third = records(log)
    desk = PendingCommands("poller", TAKES, began=2)
    desk.take([first])
    assert desk.due() == []
    desk.take([second])
    assert desk.due() == []
    desk.take([third])
    assert [(asked.id, asked.late) for asked in desk.due()] == [("2", False)]


def test_a_command_sent_again_for_another_service_passes_by() -> None:
    """A resent record names the one service that takes it."""
    log, desk = MemoryLog(), PendingCommands("poller", TAKES, began=0)
    sent(log, "1", poll(), ce_to="trainer")
    desk.take(records(log))
    assert desk.due() == []


def test_a_topic_made_anew_is_no_old_one() -> None:
    """Its offsets begin at 0 again, below where the service began; the commands in it are new all the same."""
    log, desk = MemoryLog(), PendingCommands("poller", TAKES, began=2)
    sent(log, "1", poll())
    sent(log, "2", poll())
    desk.take(records(log))
    assert all(asked.late for asked in desk.due())
    anew = MemoryLog()
    sent(anew, "3", poll())
    desk.take(records(anew))
    assert [(asked.id, asked.late) for asked in desk.due()] == [("3", False)]


def test_a_command_that_is_delivered_again_is_not_due_again() -> None:
    """Once it is answered."""
    log, desk = MemoryLog(), PendingCommands("poller", TAKES, began=0)
    sent(log, "1", poll())
    sent(log, "1/accepted", CommandAccepted(dataset="d", command="1", effect="done"))
    desk.take(records(log))
    desk.take(records(log)[:1])
    assert desk.due() == []
