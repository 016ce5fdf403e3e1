"""Messages are put in the order of their times."""

from datetime import UTC, datetime, timedelta

from veleta_local.demo.event_messages import Message
from veleta_local.demo.message_queue import MessageQueue

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def message(seconds: float, subject: str = "") -> Message:
    """A message of this many seconds after noon."""
    return Message(NOON + timedelta(seconds=seconds), subject, "text")


def test_messages_are_taken_in_the_order_of_their_times() -> None:
    """Whatever the order in which they arrive. Each is taken once."""
    queue = MessageQueue()
    for seconds in (3, 1, 2):
        queue.put(message(seconds))
    assert queue.take(NOON + timedelta(seconds=2)) == [message(1), message(2)]
    queue.put(message(2.5))
    assert queue.take(NOON + timedelta(seconds=9)) == [message(2.5), message(3)]
    assert queue.take(NOON + timedelta(seconds=9)) == []


def test_messages_of_one_time_keep_the_order_of_their_arrival() -> None:
    """A batch is published and requested at one time."""
    queue = MessageQueue()
    for subject in "cab":
        queue.put(message(1, subject))
    assert [each.subject for each in queue.take(NOON + timedelta(seconds=1))] == ["c", "a", "b"]
