"""Lists dead letters, and sends the record of one to its service again."""

from collections.abc import Iterator, Sequence
from typing import Any

from veleta.adapters.kafka import KafkaLog
from veleta.batches import read_events, read_topic
from veleta.errors import Reject, Retry
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import ADDRESSEE, Event, Message, header_texts
from veleta.processing.dead_letters import MAX_VALUE_BYTES
from veleta.settings import KafkaSettings
from veleta.topics import declared_topics
from veleta_local.errors import LocalError
from veleta_local.topics import local_errors

MAX_ERROR = 200
"""Characters of an error in the list."""


class DeadLetters:
    """The dead letters of one dataset."""

    def __init__(self, kafka: KafkaSettings, dataset: str) -> None:
        self._log = KafkaLog(kafka, "dead")
        self._dataset = dataset

    def listing(self) -> Iterator[str]:
        """Each letter as a few lines, oldest first."""
        letters = self._with_resent()
        if not letters:
            yield "no dead letters"
        for letter, resent in letters:
            yield "\n".join(line.replace("\n", " ") for line in _lines(letter, resent=resent))

    def objects(self) -> Iterator[dict[str, Any]]:
        """Each letter as an object without the record itself, oldest first."""
        for letter, resent in self._with_resent():
            fields = _payload(letter).model_dump(exclude={"headers", "value"})
            yield {"id": letter.id, "time": letter.time.isoformat(), "resent": resent} | fields

    def resend(self, letter_id: str) -> str:
        """Publish a letter's record again, for the service that could not process it: a line with the new offset.

        Raises:
            LocalError: the letter does not exist, or its record was sent before or cannot be sent.
        """
        letters = self._letters()
        if letter_id not in letters:
            raise LocalError(f"RESEND={letter_id}: no such dead letter; there are: {', '.join(letters) or 'none'}")
        letter = letters[letter_id]
        payload = _payload(letter)
        if payload.service not in self._readers(payload.topic):
            raise LocalError(f"{letter_id} cannot be sent again: {payload.service} does not read {payload.topic}")
        if _resent_id(letter) in self._ids(payload.topic):
            raise LocalError(f"{letter_id} was sent again before; if that failed too, there is a new dead letter")
        ((_, offset),) = self._publish(self._message(letter))
        return f"sent again to {payload.service}: {payload.topic} {offset}"

    def _with_resent(self) -> Sequence[tuple[Event, bool]]:
        """Each letter, and whether it was sent again."""
        letters = self._letters().values()
        ids = {name: self._ids(name) for name in {_payload(letter).topic for letter in letters}}
        return [(letter, _resent_id(letter) in ids[_payload(letter).topic]) for letter in letters]

    def _letters(self) -> dict[str, Event]:
        """By id: the topic may contain a letter twice."""
        with local_errors():
            events = [*read_events(self._log, self._dataset, "deadletter")]
        return {event.id: event for event in events if isinstance(event.payload, RecordDeadlettered)}

    def _readers(self, topic: str) -> Sequence[str]:
        return next((each.read_by for each in declared_topics(self._dataset) if each.name == topic), ())

    def _ids(self, name: str) -> set[str]:
        """The ids of all events in a topic; none if it is not a topic of the dataset."""
        with local_errors():
            records = read_topic(self._log, name) if self._readers(name) else ()
            return {header_texts(record).get("ce_id", "") for record in records}

    def _message(self, letter: Event) -> Message:
        """The original record, addressed to one service, with an id that follows from the letter's id."""
        payload = _payload(letter)
        if payload.partition is not None and payload.offset is not None:
            records = [*self._log.read(payload.topic, payload.partition, payload.offset, payload.offset)]
            if not records:
                raise LocalError(f"{letter.id} cannot be sent again: {payload.topic} has no record {payload.offset}")
            key, headers, value = records[0].key, records[0].headers, records[0].value
        elif len(payload.value) < MAX_VALUE_BYTES:
            headers = tuple((name, text.encode()) for name, text in payload.headers.items())
            key, value = payload.first_key, payload.value.encode()
        else:
            raise LocalError(f"{letter.id} cannot be sent again: it has only the beginning of the record")
        changed = {"ce_id": _resent_id(letter), "ce_causationid": letter.id, ADDRESSEE: payload.service}
        unchanged = [(name, content) for name, content in headers if name not in changed]
        new = ((name, text.encode()) for name, text in changed.items())
        return Message(payload.topic, key, (*unchanged, *new), value)

    def _publish(self, message: Message) -> list[tuple[int, int]]:
        try:
            return self._log.publish([message])
        except (Retry, Reject) as error:
            raise LocalError(str(error)) from error
        finally:
            self._log.close()


def _payload(letter: Event) -> RecordDeadlettered:
    assert isinstance(letter.payload, RecordDeadlettered)  # noqa: S101 - `_letters` returns no others
    return letter.payload


def _resent_id(letter: Event) -> str:
    """The id under which a letter's record is published again."""
    return f"{letter.id}/resent"


def _lines(letter: Event, *, resent: bool) -> Iterator[str]:
    payload = _payload(letter)
    yield f"{letter.id}{'  (sent again)' if resent else ''}"
    yield f"    {letter.time:%Y-%m-%d %H:%M:%S}  {payload.service} could not process: {payload.reason}"
    if payload.error != payload.reason:
        yield f"    {' '.join(payload.error.split())[:MAX_ERROR]}"
    record = payload.headers.get("ce_id") or payload.first_key
    place = f"{payload.topic} {payload.offset}" if payload.offset is not None else payload.topic
    yield f"    record: {record} ({place})"
