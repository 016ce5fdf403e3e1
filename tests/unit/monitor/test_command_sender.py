"""What becomes of a button that was pressed."""

from collections.abc import Callable

from veleta.errors import Retry
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused, Pause, Poll
from veleta_monitor.command_sender import Wishes, Word, is_news, next_press

WAITING = Word("pause: waiting for the poller's answer", "quiet")


def accepted(kind: type[Command]) -> CommandAccepted:
    return CommandAccepted(dataset="d", command="c", effect=f"{kind.TYPE} is done")


def pressed(ask: Callable[[type[Command]], CommandAccepted | CommandRefused]) -> Word:
    """The word after one press whose answer came at once."""
    wishes = Wishes(ask, run=lambda work: work())
    wishes.make(Poll)
    return wishes.last


def test_an_answer_is_told_in_words() -> None:
    """What was accepted says its effect, what was refused says why."""
    assert pressed(accepted) == Word("poll: poll is done", "good")
    refused = CommandRefused(dataset="d", command="c", reason="nothing to take")
    assert pressed(lambda _: refused) == Word("poll was refused: nothing to take", "warn")


def test_what_could_not_be_sent_is_told() -> None:
    """A broker that is away and a fault that nobody foresaw are sentences; neither is raised."""

    def away(_: type[Command]) -> CommandAccepted:
        raise Retry("kafka", "no broker")

    def broken(_: type[Command]) -> CommandAccepted:
        raise KeyError("secret")

    assert pressed(away) == Word("poll: kafka: no broker", "bad")
    assert pressed(broken) == Word("poll: not sent (KeyError); the monitor's log says why", "bad")


def test_the_newest_press_has_the_last_word() -> None:
    """The answer to an older one, however late it comes, does not stand over it."""
    sent = list[Callable[[], None]]()
    wishes = Wishes(accepted, run=sent.append)
    wishes.make(Poll)
    wishes.make(Pause)
    assert wishes.last == WAITING
    older, newer = sent
    older()
    assert wishes.last == WAITING
    newer()
    assert wishes.last == Word("pause: pause is done", "good")
    older()
    assert wishes.last == Word("pause: pause is done", "good")


def test_a_press_that_is_handed_over_again_is_no_news() -> None:
    """Each number is taken once, and only in its turn."""
    visit: dict[str, int] = {}
    assert next_press(visit) == 0
    assert [is_news(number, visit) for number in (0, 0, 1, 0, 1)] == [True, False, True, False, False]
    assert next_press(visit) == 2
