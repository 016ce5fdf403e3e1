"""How far a consumer group is behind."""

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from veleta.adapters.offsets import lag

PLACE = TopicPartition("d.batches", 0)


def committed(offset: int) -> dict[TopicPartition, OffsetAndMetadata]:
    return {PLACE: OffsetAndMetadata(offset, "", -1)}


def test_lag_is_what_was_written_and_not_committed() -> None:
    """End offset minus committed offset; nothing written is nothing to do, and never committed is unknown."""
    assert lag({PLACE: 12}, committed(9)) == 3
    assert lag({PLACE: 12}, committed(12)) == 0
    assert lag({PLACE: 0}, {}) == 0
    assert lag({PLACE: 12}, {}) is None
