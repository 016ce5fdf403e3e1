"""The declaration of all topics. The job `veleta_prepare` creates them, and refuses a topic that differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from veleta.events import catalogue as events
from veleta.events.catalogue import Payload
from veleta.users import OPERATOR

TopicName = Literal["batches", "rows", "drift", "retrain", "training", "models", "levels", "commands", "deadletter"]

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest record. A dead letter contains a whole chunk as escaped text."""
SEGMENT_BYTES = 2 * MAX_MESSAGE_BYTES
"""The size of a topic's files. Kafka frees the disk of deleted records by whole files."""


@dataclass(frozen=True)
class Topic:
    """A declared topic: its events, and who writes and reads it: services, and people as the user `operator`.

    Kafka deletes no record by itself. Retention deletes those of `rows`.
    """

    name: str
    events: Sequence[type[Payload]]
    written_by: Sequence[str]
    read_by: Sequence[str]
    partitions: int = 1

    @property
    def adjustable(self) -> dict[str, str]:
        """The settings that `veleta_prepare` also changes in an existing topic."""
        return {"segment.bytes": str(SEGMENT_BYTES)}

    @property
    def config(self) -> dict[str, str]:
        """The settings that `veleta_prepare` sets and verifies."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }


class _Declaration(NamedTuple):
    events: Sequence[type[Payload]]
    written_by: Sequence[str]
    read_by: Sequence[str]


_DECLARED: dict[TopicName, _Declaration] = {
    "batches": _Declaration(
        [events.DatasetDeclared, events.BatchOpened, events.BatchClosed, events.BatchRefused, events.BatchMissed],
        ["poller"],
        ["poller", "loader", "drift", "trainer", "retention", "monitor"],
    ),
    "rows": _Declaration([events.BatchRows], ["poller"], ["loader", "drift", "trainer"]),
    "drift": _Declaration(
        [events.DriftAssessed, events.RetrainJudged, events.RollbackProposed], ["drift"], ["drift", "monitor"]
    ),
    "retrain": _Declaration([events.RetrainRequested], ["drift", "trainer"], ["trainer", "monitor"]),
    "training": _Declaration(
        [
            events.TrainingStarted,
            events.TrainingProgress,
            events.TrainingFinished,
            events.TrainingMerged,
            events.TrainingSkipped,
            events.TrainingFailed,
        ],
        ["trainer"],
        ["trainer", "inference", "monitor"],
    ),
    "models": _Declaration(
        [events.ModelRegistered, events.ModelPromoted, events.ModelRejected, events.IntervalsAdjusted],
        ["trainer"],
        ["drift", "trainer", "inference", "monitor"],
    ),
    "levels": _Declaration([events.LevelUpdated], ["drift"], ["drift", "inference", "monitor"]),
    "commands": _Declaration(
        [
            events.Poll,
            events.Pause,
            events.Resume,
            events.Retrain,
            events.Promote,
            events.Rollback,
            events.Cancel,
            events.PinLevel,
            events.AcceptLevel,
            events.ResetLevel,
            events.CommandAccepted,
            events.CommandRefused,
        ],
        ["poller", "drift", "trainer", "monitor", OPERATOR],
        ["poller", "drift", "trainer", "monitor", OPERATOR],
    ),
    "deadletter": _Declaration(
        [events.RecordDeadlettered], ["poller", "loader", "drift", "trainer", "inference"], ["monitor", OPERATOR]
    ),
}
"""Drift and the trainer read what they wrote only to restore their tables."""

LAG_TOPICS: Mapping[str, TopicName] = {"loader": "batches", "drift": "batches", "trainer": "retrain"}
"""By service with a consumer group, `<dataset>.<service>`: the topic whose lag is shown."""


def topic(dataset: str, name: TopicName) -> str:
    """The full name of one of a dataset's topics, as `real_estate.batches`."""
    return f"{dataset}.{name}"


def topics_of(dataset: str, service: str) -> list[str]:
    """The names of the topics that a service writes or reads."""
    return [each.name for each in declared_topics(dataset) if service in (*each.written_by, *each.read_by)]


def declared_topics(dataset: str) -> list[Topic]:
    """All topics of a dataset."""
    return [Topic(topic(dataset, name), *declaration) for name, declaration in _DECLARED.items()]
