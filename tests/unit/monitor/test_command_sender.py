"""The commands of the page's buttons."""

from collections.abc import Callable

import pytest

from veleta.errors import Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused, Pause, Poll
from veleta_monitor.command_sender import CommandSender, CommandStatus, SendCommand, first_delivery, next_click

ADDRESS = "192.0.2.7"
WAITING = CommandStatus("pause: waiting for the poller's answer", "neutral")


def accepted(kind: type[Command], _address: str) -> CommandAccepted:
    return CommandAccepted(dataset="d", command="c", effect=f"{kind.TYPE} is done")


def status_after(send_command: SendCommand) -> CommandStatus:
    """The status after one command that was answered at once."""
    commands = CommandSender(send_command, run=lambda work: work())
    commands.send(Poll, ADDRESS)
    return commands.status


def test_the_status_shows_the_answer() -> None:
    """It has the effect of an accepted command, and the reason of a refused one."""
    assert status_after(accepted) == CommandStatus("poll: poll is done", "good")
    refused = CommandRefused(dataset="d", command="c", reason="no batch")
    assert status_after(lambda *_: refused) == CommandStatus("poll was refused: no batch", "warn")


def test_a_command_that_was_not_sent_has_an_error_status() -> None:
    """Neither an unreachable Kafka nor an unexpected error is raised."""

    def unreachable(_: type[Command], _address: str) -> CommandAccepted:
        raise Retry("kafka", "no broker")

    def broken(_: type[Command], _address: str) -> CommandAccepted:
        raise KeyError("secret")

    assert status_after(unreachable) == CommandStatus("poll: kafka: no broker", "bad")
    assert status_after(broken) == CommandStatus("poll: not sent (KeyError). See the monitor's log.", "bad")


def test_the_status_is_that_of_the_newest_command() -> None:
    """A late answer to an older command does not replace it."""
    sent = list[Callable[[], None]]()
    commands = CommandSender(accepted, run=sent.append)
    commands.send(Poll, ADDRESS)
    commands.send(Pause, ADDRESS)
    assert commands.status == WAITING
    older, newer = sent
    older()
    assert commands.status == WAITING
    newer()
    assert commands.status == CommandStatus("pause: pause is done", "good")
    older()
    assert commands.status == CommandStatus("pause: pause is done", "good")


@pytest.mark.failure("F409")
def test_a_command_has_the_address_of_its_visitor() -> None:
    """So that its event shows who sent it."""
    sent: list[tuple[str, str]] = []

    def send_command(kind: type[Command], address: str) -> CommandAccepted:
        sent.append((kind.TYPE, address))
        return accepted(kind, address)

    CommandSender(send_command, run=lambda work: work()).send(Pause, ADDRESS)
    assert sent == [("pause", ADDRESS)]


def test_a_repeated_delivery_of_a_click_is_ignored() -> None:
    """Each number is accepted once, and only in its order. Sections that are drawn apart count apart."""
    session: dict[str, int] = {}
    assert next_click(session) == 0
    assert [first_delivery(number, session) for number in (0, 0, 1, 0, 1)] == [True, False, True, False, False]
    assert next_click(session) == 2
    assert first_delivery(0, session, "another section")
    assert (next_click(session), next_click(session, "another section")) == (2, 1)
