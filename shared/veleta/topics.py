"""The declaration of all topics. The job `veleta_prepare` creates them, and refuses a topic that differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from veleta.events import catalogue as events
from veleta.events.catalogue import Payload

TopicName = Literal["batches", "rows", "drift", "retrain", "training", "models", "commands", "deadletter"]

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest record. A dead letter contains a whole chunk as escaped text."""


@dataclass(frozen=True)
class Topic:
    """A declared topic: its events, and the services that write and read it. Records are never deleted."""

    name: str
    events: Sequence[type[Payload]]
    written_by: Sequence[str]
    read_by: Sequence[str]
    partitions: int = 1

    @property
    def config(self) -> dict[str, str]:
        """The settings that `veleta_prepare` sets and verifies."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }


_DECLARED: dict[TopicName, tuple[Sequence[type[Payload]], Sequence[str], Sequence[str]]] = {
    "batches": (
        [events.DatasetDeclared, events.BatchOpened, events.BatchClosed, events.BatchRefused, events.BatchMissed],
        ["poller"],
        ["poller", "loader", "drift", "trainer", "monitor"],
    ),
    "rows": ([events.BatchRows], ["poller"], ["loader", "drift", "trainer"]),
    "drift": ([events.DriftAssessed], ["drift"], ["monitor"]),
    "retrain": ([events.RetrainRequested], ["drift", "trainer"], ["trainer", "monitor"]),
    "training": (
        [
            events.TrainingStarted,
            events.TrainingProgress,
            events.TrainingFinished,
            events.TrainingMerged,
            events.TrainingSkipped,
            events.TrainingFailed,
        ],
        ["trainer"],
        ["monitor"],
    ),
    "models": (
        [events.ModelRegistered, events.ModelPromoted, events.ModelRejected],
        ["trainer"],
        ["inference", "monitor"],
    ),
    "commands": (
        [events.Poll, events.Pause, events.Resume, events.CommandAccepted, events.CommandRefused],
        ["poller", "monitor"],
        ["poller", "monitor"],
    ),
    "deadletter": ([events.RecordDeadlettered], ["poller", "loader", "drift", "trainer", "inference"], ["monitor"]),
}
"""By topic: its events, the services that write it, and those that read it."""

CONSUMED_TOPICS: Mapping[str, TopicName] = {"loader": "batches", "drift": "batches", "trainer": "retrain"}
"""The services with a consumer group, `<dataset>.<service>`, and the topic that each consumes."""


def topic(dataset: str, name: TopicName) -> str:
    """The full name of one of a dataset's topics, as `real_estate.batches`."""
    return f"{dataset}.{name}"


def declared_topics(dataset: str) -> list[Topic]:
    """All topics of a dataset."""
    return [Topic(topic(dataset, name), *declaration) for name, declaration in _DECLARED.items()]
