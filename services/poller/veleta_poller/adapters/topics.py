"""The topics as the poller writes them."""

from collections.abc import Sequence
from itertools import islice

from veleta.batches import read_events
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import DatasetDeclared
from veleta.events.envelope import Event, Message, encode
from veleta.faults import fault_point
from veleta.ports import EventLog
from veleta.processing.dead_letters import DeadLetters, report_dead_letter
from veleta.topics import TopicName, topic
from veleta_poller.domain.answers import Batch
from veleta_poller.domain.publication import SERVICE, Publication, answered, declared, missed, refused
from veleta_poller.domain.sequence import Position, Step, fold
from veleta_poller.domain.state import Reply

CHUNKS_AT_ONCE = 20
"""Chunks that are on their way at a time: some megabytes."""
LETTER_BYTES = 64 * 1024
"""So much of what could not be published goes into its dead letter: the whole of it lies in the inbox."""


class Topics:
    """`handlers.Topics` on an event log."""

    def __init__(self, dataset: Dataset, log_port: EventLog, clock: Clock) -> None:
        self._dataset = dataset
        self._log = log_port
        self._clock = clock
        self._dead_letters = DeadLetters(SERVICE, dataset.name, clock)

    def survey(self) -> Position:
        """See `handlers.Topics.survey`."""
        payloads = [event.payload for event in read_events(self._log, self._dataset.name)]
        known = [payload.digest for payload in payloads if isinstance(payload, DatasetDeclared)]
        if known[-1:] != [self._dataset.digest]:
            self._send("batches", [declared(self._dataset, len(known), self._clock())])
        return fold(payloads)

    def publish(self, step: Step, batch: Batch, findings: list[str]) -> None:
        """See `handlers.Topics.publish`."""
        publication = Publication(self._dataset, step, batch, self._clock())
        self._send("batches", [*publication.missed(), publication.opened])
        fault_point("poller.opened")
        events, places = publication.rows(), list[tuple[int, int]]()
        while group := list(islice(events, CHUNKS_AT_ONCE)):
            places += self._send("rows", group)
            fault_point("poller.rows")
        self._send("batches", [publication.closed(places, findings)])
        fault_point("poller.closed")

    def refuse(self, place: tuple[int, int], reason: str, status: int, body: str) -> None:
        """See `handlers.Topics.refuse`."""
        self._send("batches", [refused(self._dataset, place, reason, status, body, self._clock())])

    def miss(self, place: tuple[int, int], reason: str) -> None:
        """See `handlers.Topics.miss`."""
        self._send("batches", [missed(self._dataset, place, reason, self._clock())])

    def reply(self, replies: Sequence[Reply]) -> None:
        """See `handlers.Topics.reply`."""
        self._send("commands", [answered(self._dataset, reply, self._clock()) for reply in replies])

    def _send(self, name: TopicName, events: list[Event]) -> list[tuple[int, int]]:
        messages = [encode(topic(self._dataset.name, name), event) for event in events]
        try:
            return self._log.publish(messages)
        except Reject as error:
            self._bury(error, max(messages, key=lambda message: len(message.value)))
            raise

    def _bury(self, error: Reject, message: Message) -> None:
        cut = Message(message.topic, message.key, message.headers, message.value[:LETTER_BYTES])
        self._log.publish([self._dead_letters.message(error.reason, error, cut)])
        report_dead_letter(error.reason, error)
