"""Dead letters from the shell: what could not be processed, and one of them sent once more."""

from collections.abc import Iterator

from veleta.adapters.kafka import KafkaLog
from veleta.batches import read_events, read_topic
from veleta.errors import Reject, Retry
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import ADDRESSEE, Event, Message, header_texts
from veleta.processing.dead_letters import MAX_VALUE_BYTES
from veleta.topics import declared_topics
from veleta_local.errors import LocalError
from veleta_local.topics import NOT_RUNNING

SHOWN = 200
"""Characters of an error that a line shows."""


class DeadLetters:
    """The dead letters of one dataset."""

    def __init__(self, bootstrap: str, dataset: str) -> None:
        self._log = KafkaLog(bootstrap, "dead")
        self._dataset = dataset

    def listing(self) -> Iterator[str]:
        """Each letter as a few lines, oldest first."""
        letters = self._letters()
        if not letters:
            yield "no dead letters"
        again = {name: self._ids(name) for name in {_payload(letter).topic for letter in letters.values()}}
        for letter in letters.values():
            yield "\n".join(_lines(letter, sent=_again(letter) in again[_payload(letter).topic]))

    def resend(self, letter_id: str) -> str:
        """Send what a letter tells of once more, to the service that could not process it: a line that says so.

        Raises:
            LocalError: there is no such letter, it was sent again before, or it cannot be.
        """
        letters = self._letters()
        if letter_id not in letters:
            known = ", ".join(letters) or "none"
            raise LocalError(f"RESEND={letter_id}: no such dead letter; there are: {known}")
        letter = letters[letter_id]
        told = _payload(letter)
        if told.service not in self._readers(told.topic):
            raise LocalError(f"{letter_id} cannot be sent again: {told.service} takes nothing from {told.topic}")
        if _again(letter) in self._ids(told.topic):
            raise LocalError(f"{letter_id} was sent again before; if that failed too, it has a dead letter of its own")
        ((_, offset),) = self._publish(self._message(letter))
        return f"sent again to {told.service}: {told.topic} {offset}"

    def _letters(self) -> dict[str, Event]:
        """By id: a letter may lie in the topic twice."""
        try:
            events = list(read_events(self._log, self._dataset, "deadletter"))
        except Retry as error:
            raise LocalError(NOT_RUNNING) from error
        return {event.id: event for event in events if isinstance(event.payload, RecordDeadlettered)}

    def _readers(self, name: str) -> list[str]:
        return [reader for topic in declared_topics(self._dataset) if topic.name == name for reader in topic.read_by]

    def _ids(self, name: str) -> set[str]:
        """The ids of all events in a topic; none where the letter names no topic of ours."""
        records = read_topic(self._log, name) if self._readers(name) else ()
        return {header_texts(record).get("ce_id", "") for record in records}

    def _message(self, letter: Event) -> Message:
        """The record as it was, under an id of its own that follows from the letter's, for the one service."""
        told = _payload(letter)
        if told.partition is not None and told.offset is not None:
            found = list(self._log.read(told.topic, told.partition, told.offset, told.offset))
            if not found:
                raise LocalError(f"{letter.id} cannot be sent again: {told.topic} no longer holds {told.offset}")
            key, headers, value = found[0].key, found[0].headers, found[0].value
        elif len(told.value) < MAX_VALUE_BYTES:
            headers = tuple((name, text.encode()) for name, text in told.headers.items())
            key, value = told.first_key, told.value.encode()
        else:
            raise LocalError(f"{letter.id} cannot be sent again: it holds only the beginning of the record")
        new = {"ce_id": _again(letter), "ce_causationid": letter.id, ADDRESSEE: told.service}
        kept = [(name, content) for name, content in headers if name not in new]
        return Message(told.topic, key, (*kept, *((name, text.encode()) for name, text in new.items())), value)

    def _publish(self, message: Message) -> list[tuple[int, int]]:
        try:
            return self._log.publish([message])
        except (Retry, Reject) as error:
            raise LocalError(str(error)) from error
        finally:
            self._log.close()


def _payload(letter: Event) -> RecordDeadlettered:
    assert isinstance(letter.payload, RecordDeadlettered)  # noqa: S101 - `_letters` gives no others
    return letter.payload


def _again(letter: Event) -> str:
    """The id under which a letter's record is sent again."""
    return f"{letter.id}/resent"


def _lines(letter: Event, *, sent: bool) -> Iterator[str]:
    told = _payload(letter)
    yield f"{letter.id}{'  (sent again)' if sent else ''}"
    yield f"    {letter.time:%Y-%m-%d %H:%M:%S}  {told.service} could not process: {told.reason}"
    if told.error != told.reason:
        yield f"    {' '.join(told.error.split())[:SHOWN]}"
    what = told.headers.get("ce_id") or told.first_key
    where = f"{told.topic} {told.offset}" if told.offset is not None else told.topic
    yield f"    record: {what} ({where})"
