"""The lag of a consumer group."""

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from veleta.adapters.offsets import lag

PARTITION = TopicPartition("d.batches", 0)


def committed(offset: int) -> dict[TopicPartition, OffsetAndMetadata]:
    return {PARTITION: OffsetAndMetadata(offset, "", -1)}


def test_the_lag_is_the_end_minus_the_committed_offset() -> None:
    """It is 0 for an empty topic, and unknown if nothing was ever committed."""
    assert lag({PARTITION: 12}, committed(9)) == 3
    assert lag({PARTITION: 12}, committed(12)) == 0
    assert lag({PARTITION: 0}, {}) == 0
    assert lag({PARTITION: 12}, {}) is None
