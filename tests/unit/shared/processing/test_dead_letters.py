"""What a dead letter contains, and when the service stops consuming."""

from support.consumer_service import IN
from support.records import NOON, message, record_of
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Event, Message, Record, decode
from veleta.processing.dead_letters import (
    MAX_CONSECUTIVE,
    MAX_KEY_LENGTH,
    MAX_VALUE_BYTES,
    ConsecutiveDeadLetters,
    DeadLetters,
)
from veleta.topics import MAX_MESSAGE_BYTES


def dead_letter(record: Record | Message, service: str = "loader", error: str = "no") -> tuple[Message, Event]:
    """The message that reports `record`, and its event."""
    sent = DeadLetters(service, "d", lambda: NOON).message("why", ValueError(error), record)
    return sent, decode(record_of(sent))


def test_the_id_is_derived_from_position_and_service() -> None:
    """A second attempt gives the same id."""
    _, event = dead_letter(record_of(message(IN, value=b"\xff"), offset=3))
    assert event.id == f"{IN}/0/3/dead/loader"


def test_a_message_without_a_position_has_a_dead_letter_too() -> None:
    """It was never in a topic: partition and offset are None, and the id contains its key."""
    _, event = dead_letter(message("RAW_DATA.new_d", "r-1"), "inference")
    assert event.id == "RAW_DATA.new_d/r-1/dead/inference"
    assert isinstance(event.payload, RecordDeadlettered)
    assert (event.payload.partition, event.payload.offset) == (None, None)


def test_a_long_value_key_and_header_are_cut() -> None:
    """The topic still has the whole record."""
    huge = record_of(message(IN, "k" * 10_000, b"\xff" * (MAX_VALUE_BYTES + 1), [("h" * 300, b"\xff" * 10_000)]))
    letter = dead_letter(huge)[1].payload
    assert isinstance(letter, RecordDeadlettered)
    assert len(letter.value) == 4 * MAX_VALUE_BYTES
    assert len(letter.first_key) == MAX_KEY_LENGTH
    assert len(letter.headers["h" * MAX_KEY_LENGTH]) < 5_000


def test_a_dead_letter_fits_its_topic() -> None:
    """A long error and many headers are cut. A dead letter that is too large would block the outbox."""
    headers = [(f"h{i}", b"\xff" * 10_000) for i in range(5_000)]
    huge = record_of(message(IN, "k", b"\xff" * (MAX_VALUE_BYTES + 1), headers))
    assert len(dead_letter(huge, error="x" * 10_000_000)[0].value) < MAX_MESSAGE_BYTES


def test_the_limit_is_reached_by_consecutive_dead_letters_for_one_reason() -> None:
    """A processed record or another reason restarts the count."""
    consecutive = ConsecutiveDeadLetters()
    for reason in ["a"] * (MAX_CONSECUTIVE - 1) + ["b"] + ["a"] * (MAX_CONSECUTIVE - 1):
        consecutive.add(reason)
        assert not consecutive.limit_reached("a")
    consecutive.add("a")
    assert consecutive.limit_reached("a")
    assert not consecutive.limit_reached("b")
    consecutive.reset()
    assert not consecutive.limit_reached("a")
