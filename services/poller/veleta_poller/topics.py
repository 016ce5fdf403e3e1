"""What the poller reads from its topics and publishes there."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import structlog

from veleta.batches import decoded
from veleta.clock import Clock
from veleta.commands import reply_event
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.envelope import Event, Message, encode
from veleta.faults import fault_point
from veleta.ports import EventLog
from veleta.processing.dead_letters import DeadLetters, report_dead_letter
from veleta.topics import TopicName, topic
from veleta_poller.domain.events import SERVICE, BatchEvents, declared_event, missed_event, refused_event
from veleta_poller.domain.responses import Batch
from veleta_poller.domain.sequence import BatchId, Placement, TopicState
from veleta_poller.domain.state import Reply
from veleta_poller.ports import StoredResponse

log = structlog.get_logger()
CHUNKS_AT_ONCE = 20
"""Chunks that are published together: some megabytes."""
DEAD_LETTER_BYTES = 64 * 1024
"""How much of a record that is too large goes into its dead letter. The quarantine holds all of it."""


class Topics:
    """The poller's topics. Every method blocks and raises Retry if Kafka is unreachable."""

    def __init__(self, dataset: Dataset, event_log: EventLog, clock: Clock) -> None:
        self._dataset = dataset
        self._event_log = event_log
        self._clock = clock
        self._dead_letters = DeadLetters(SERVICE, dataset.name, clock)

    def read_on(self, known: TopicState) -> TopicState:
        """The state of `batches`: only records after the known ones are read. A topic that was recreated is read again.

        Declares the dataset if its last declaration differs.
        """
        name = topic(self._dataset.name, "batches")
        ((partition, (first, end)),) = self._event_log.bounds(name).items()
        state = known if known.next_offset <= end else TopicState()
        for event in decoded(self._event_log.read(name, partition, max(first, state.next_offset), end - 1)):
            if not state.follows(event.payload):
                log.warning("event ignored: its batch does not follow", event_id=event.id, position=state.position)
            state = state.after(event.payload)
        state = replace(state, next_offset=end)
        if state.declared == self._dataset.digest:
            return state
        declared = declared_event(self._dataset, state.declarations, self._clock())
        ((_, offset),) = self._publish("batches", [declared])
        return replace(state.after(declared.payload), next_offset=offset + 1)

    def publish_batch(self, placement: Placement, batch: Batch, findings: list[str]) -> int:
        """Publish a batch, from the batches missed before it to its manifest. Returns the offset after the manifest.

        Raises:
            Reject: a record would be larger than its topic allows. The dead letter is published.
        """
        events = BatchEvents(self._dataset, placement, batch, self._clock())
        self._publish("batches", [*events.missed(), events.opened])
        fault_point("poller.opened")
        rows, offsets = events.rows(), list[tuple[int, int]]()
        while chunks := list(islice(rows, CHUNKS_AT_ONCE)):
            offsets += self._publish("rows", chunks)
            fault_point("poller.rows")
        ((_, offset),) = self._publish("batches", [events.closed(offsets, findings)])
        fault_point("poller.closed")
        return offset + 1

    def publish_refused(self, batch: BatchId, reason: str, response: StoredResponse) -> None:
        """Publish that an invalid response came where `batch` was expected."""
        event = refused_event(self._dataset, batch, reason, response.status, response.name, self._clock())
        self._publish("batches", [event])

    def publish_missed(self, batch: BatchId, reason: str) -> None:
        """Publish that `batch` never arrived completely."""
        self._publish("batches", [missed_event(self._dataset, batch, reason, self._clock())])

    def publish_replies(self, replies: Sequence[Reply]) -> None:
        """Publish replies to commands."""
        self._publish("commands", [self._reply_event(reply) for reply in replies])

    def _reply_event(self, reply: Reply) -> Event:
        return reply_event(
            self._dataset.name, SERVICE, reply.command, reply.text, accepted=reply.accepted, time=self._clock()
        )

    def _publish(self, name: TopicName, events: list[Event]) -> list[tuple[int, int]]:
        messages = [encode(topic(self._dataset.name, name), event) for event in events]
        try:
            return self._event_log.publish(messages)
        except Reject as error:
            self._publish_dead_letter(error, max(messages, key=lambda message: len(message.value)))
            raise

    def _publish_dead_letter(self, error: Reject, message: Message) -> None:
        beginning = Message(message.topic, message.key, message.headers, message.value[:DEAD_LETTER_BYTES])
        self._event_log.publish([self._dead_letters.message(error.reason, error, beginning)])
        report_dead_letter(error.reason, error)
