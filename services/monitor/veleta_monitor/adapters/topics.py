"""Reads from Kafka: the last event of each stage, consumer lags, the latest training, the number of dead letters."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import TopicPartition

from veleta.adapters.kafka_clients import Admin
from veleta.adapters.offsets import Ends, read_offsets, topic_ends
from veleta.errors import Reject
from veleta.events.catalogue import BatchPayload
from veleta.events.envelope import Record, decode
from veleta.ports import EventLog
from veleta.settings import KafkaSettings
from veleta.topics import TopicName, topic
from veleta_monitor.domain.stages import LastActivity, latest
from veleta_monitor.domain.training_progress import TrainingProgress, apply_event

OUTPUTS: Mapping[str, Sequence[TopicName]] = {
    "poller": ("batches",),
    "drift": ("drift", "retrain"),
    "trainer": ("training", "models"),
}
"""By stage: the topics that it writes to, without those of many or large events."""
FIRST_READ = 1000
"""Records of `training` that the first read includes. A training writes some twenty, and one per batch it reads."""


@dataclass(frozen=True)
class TopicSummary:
    """`lags` are numbers of records; None where the group has not committed. `training` is the latest, if any."""

    activities: Mapping[str, LastActivity]
    lags: Mapping[str, int | None]
    dead_letters: int
    training: TrainingProgress | None


class KafkaReader:
    """Reads the topics of one dataset. Each read requests the current offsets, and fetches only new records."""

    def __init__(self, kafka: KafkaSettings, event_log: EventLog, dataset: str) -> None:
        self._admin = Admin(kafka, "monitor")
        self._event_log = event_log
        self._dataset = dataset
        self._last: dict[TopicPartition, tuple[int, LastActivity]] = {}
        self._training: TrainingProgress | None = None
        self._next_offset = 0

    def read(self) -> TopicSummary:
        """Read everything. Blocks, must not run concurrently, and raises Retry if Kafka is unreachable."""
        current = read_offsets(self._admin, self._dataset)
        for partition, end in self._ends("training", current.ends).items():
            self._update_training(partition, end)
        dead_letters = sum(self._ends("deadletter", current.ends).values())
        return TopicSummary(self._activities(current.ends), current.lags, dead_letters, self._training)

    def _ends(self, name: TopicName, ends: Ends) -> Ends:
        return topic_ends(topic(self._dataset, name), ends)

    def _activities(self, ends: Ends) -> dict[str, LastActivity]:
        activities = {
            stage: [self._activity(at, end) for name in names for at, end in self._ends(name, ends).items() if end]
            for stage, names in OUTPUTS.items()
        }
        return {stage: latest(found) for stage, found in activities.items() if found}

    def _activity(self, partition: TopicPartition, end: int) -> LastActivity:
        """The last event of a partition. It is fetched only if it is new."""
        cached = self._last.get(partition)
        if cached is None or cached[0] != end:
            records = list(self._event_log.read(partition.topic, partition.partition, end - 1, end - 1))
            activity = _activity(records[0]) if records else LastActivity("unknown", "", None)
            cached = self._last[partition] = end, activity
        return cached[1]

    def _update_training(self, partition: TopicPartition, end: int) -> None:
        """Apply the new events of `training`. A shorter topic was recreated: it is read from its beginning."""
        if self._next_offset > end:
            self._next_offset = 0
        first = max(self._next_offset, end - FIRST_READ)
        for record in self._event_log.read(partition.topic, partition.partition, first, end - 1):
            with contextlib.suppress(Reject):
                self._training = apply_event(self._training, decode(record))
            self._next_offset = record.offset + 1


def _activity(record: Record) -> LastActivity:
    try:
        event = decode(record)
    except Reject as error:
        return LastActivity("unreadable event", str(error), None)
    payload = event.payload
    batch = (payload.epoch, payload.number) if isinstance(payload, BatchPayload) else None
    return LastActivity(event.type, event.id, event.time, batch)
