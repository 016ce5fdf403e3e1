"""What the monitor reads from the topics."""

import pytest
from kafka import TopicPartition

from support.batches import TIME
from support.testbed import kafka_login
from support.twins.shared import MemoryLog
from veleta.events.catalogue import TrainingStarted
from veleta.events.envelope import Event, encode
from veleta_monitor.adapters.topics import KafkaReader

TRAINING = "d.training"


def start(log: MemoryLog, name: str) -> None:
    event = Event(f"{name}/started", "trainer", TIME, TrainingStarted(request_id=name, recipe={}))
    log.publish([encode(TRAINING, event)])


@pytest.mark.failure("F313")
def test_a_topic_that_was_recreated_is_read_from_its_beginning() -> None:
    """It is shorter than what was read: the trainings in it are shown at once."""
    log = MemoryLog()
    reader = KafkaReader(kafka_login(""), log, "d")
    for name in ("old", "older", "oldest"):
        start(log, name)
    reader._update_training(TopicPartition(TRAINING, 0), 3)
    log.topics[TRAINING].clear()
    start(log, "new")
    reader._update_training(TopicPartition(TRAINING, 0), 1)
    assert reader._training is not None
    assert reader._training.request_id == "new"
