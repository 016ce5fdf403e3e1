"""What Kafka knows: the last event of each stage, the lag of each group, the last training, how many dead letters."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import TopicPartition

from veleta.adapters.offsets import Ends, read_offsets, topic_ends
from veleta.errors import Reject
from veleta.events.catalogue import BatchPayload
from veleta.events.envelope import Record, decode
from veleta.ports import EventLog
from veleta.topics import TopicName, topic
from veleta_monitor.domain.stages import Deed, newest
from veleta_monitor.domain.training_progress import Course, follow

WRITES: Mapping[str, Sequence[TopicName]] = {
    "poller": ("batches",),
    "drift": ("drift", "retrain"),
    "trainer": ("training", "models"),
}
"""The topics of few and small events that a stage writes to."""
TAIL = 1000
"""Records of `training` that are read at first: a training writes some twenty, and one for each batch it reads."""


@dataclass(frozen=True)
class Topics:
    """`lags` counts records; None where the group never committed. `course`: the training that began last, if any."""

    deeds: Mapping[str, Deed]
    lags: Mapping[str, int | None]
    dead_letters: int
    course: Course | None


class KafkaReader:
    """Looks at the topics of one dataset. A look asks the broker for offsets, and reads only what is new."""

    def __init__(self, bootstrap: str, log: EventLog, dataset: str) -> None:
        self._bootstrap = bootstrap
        self._log = log
        self._dataset = dataset
        self._last: dict[TopicPartition, tuple[int, Deed]] = {}
        self._course: Course | None = None
        self._followed = 0

    def look(self) -> Topics:
        """All of it. Blocks, must not run twice at a time, and raises Retry when the broker is away."""
        found = read_offsets(self._bootstrap, self._dataset, "monitor")
        for place, end in self._of("training", found.ends).items():
            self._follow(place, end)
        letters = sum(self._of("deadletter", found.ends).values())
        return Topics(self._deeds(found.ends), found.lags, letters, self._course)

    def _of(self, name: TopicName, ends: Ends) -> Ends:
        return topic_ends(topic(self._dataset, name), ends)

    def _deeds(self, ends: Ends) -> dict[str, Deed]:
        deeds = {
            stage: [self._deed(place, end) for name in names for place, end in self._of(name, ends).items() if end]
            for stage, names in WRITES.items()
        }
        return {stage: newest(done) for stage, done in deeds.items() if done}

    def _deed(self, place: TopicPartition, end: int) -> Deed:
        """The last event of a partition, read again only when there is a later one."""
        known = self._last.get(place)
        if known is None or known[0] != end:
            records = list(self._log.read(place.topic, place.partition, end - 1, end - 1))
            known = self._last[place] = end, _deed(records[0]) if records else Deed("unknown", "", None)
        return known[1]

    def _follow(self, place: TopicPartition, end: int) -> None:
        """Take what is new of the trainings."""
        first = max(self._followed, end - TAIL)
        for record in self._log.read(place.topic, place.partition, first, end - 1):
            with contextlib.suppress(Reject):
                self._course = follow(self._course, decode(record))
            self._followed = record.offset + 1


def _deed(record: Record) -> Deed:
    try:
        event = decode(record)
    except Reject as error:
        return Deed("unreadable event", str(error), None)
    said = event.payload
    batch = (said.epoch, said.number) if isinstance(said, BatchPayload) else None
    return Deed(event.type, event.id, event.time, batch)
