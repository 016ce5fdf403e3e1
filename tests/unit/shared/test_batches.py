"""A batch is read by its manifest, completely or not at all."""

from collections.abc import Iterator

import pytest

from support.batches import batch_manifests
from support.records import chunk_messages, event, message, missed, publish_chunks
from support.twins.shared import CountingLog, MemoryLog
from veleta.batches import (
    MAX_BATCHES,
    BatchReader,
    Rows,
    RowsDeleted,
    RowsDigest,
    newest_of_each_number,
    read_events,
)
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.events.envelope import Message, encode
from veleta.topics import topic

CHUNKS: list[Rows] = [[{"a": 1}, {"a": 2}], [{"a": 3}], [{"a": 4}, {"a": 5}]]
ROWS = topic("d", "rows")


@pytest.fixture
def log() -> MemoryLog:
    """A log with another batch before ours."""
    log = MemoryLog()
    publish_chunks(log, "d", 1, 0, [[{"a": 0}]])
    return log


def read(log: MemoryLog, manifest: BatchClosed) -> list[Rows]:
    return list(BatchReader(log).chunks(manifest))


def publish(log: MemoryLog, chunks: list[Message]) -> OffsetRange:
    """Publish messages, and return their range."""
    positions = log.publish(chunks)
    return OffsetRange(partition=0, first=positions[0][1], last=positions[-1][1])


def altered(manifest: BatchClosed, **changes: object) -> BatchClosed:
    return manifest.model_copy(update=changes)


def mismatch(log: MemoryLog, manifest: BatchClosed) -> str:
    """The error for a manifest that does not match."""
    with pytest.raises(Reject) as caught:
        read(log, manifest)
    assert caught.value.reason == "the manifest does not match"
    return str(caught.value)


def test_chunks_are_read_in_order(log: MemoryLog) -> None:
    """With the rows as they were received."""
    assert read(log, publish_chunks(log, "d", 1, 1, CHUNKS)) == CHUNKS


def test_a_batch_can_be_read_again_at_any_time(log: MemoryLog) -> None:
    """With its manifest alone, whatever was published since."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    publish_chunks(log, "d", 1, 2, CHUNKS)
    assert read(log, manifest) == read(log, manifest) == CHUNKS


def test_chunks_are_yielded_while_the_batch_is_read(log: MemoryLog) -> None:
    """The whole batch need not fit into memory."""
    chunks: Iterator[Rows] = BatchReader(log).chunks(publish_chunks(log, "d", 1, 1, CHUNKS))
    assert next(chunks) == CHUNKS[0]


def test_other_records_within_the_range_are_skipped(log: MemoryLog) -> None:
    """Those of another writer or another batch: the key of a record is its batch."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    (other,) = chunk_messages("d", 9, 9, [[{"a": 9}]])
    offsets = publish(log, [one, message(ROWS, "another batch", b"\xff"), two, other, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert read(log, altered(manifest, ranges=[offsets])) == CHUNKS


def test_chunks_of_an_interrupted_publication_are_not_read(log: MemoryLog) -> None:
    """After a crash the batch is published again; the manifest covers the second publication only."""
    log.publish(chunk_messages("d", 1, 1, CHUNKS)[:2])
    assert read(log, publish_chunks(log, "d", 1, 1, CHUNKS)) == CHUNKS


def test_a_missing_chunk_in_the_middle_is_a_mismatch(log: MemoryLog) -> None:
    """The error names the missing chunk."""
    one, _, three = chunk_messages("d", 1, 1, CHUNKS)
    offsets = publish(log, [one, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 2 instead of chunk 1" in mismatch(log, altered(manifest, ranges=[offsets]))


@pytest.mark.failure("F99")
def test_a_missing_end_is_a_mismatch(log: MemoryLog) -> None:
    """The log ends before the manifest's range."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    log.topics[ROWS].pop()
    assert "3 rows in 2 chunks, not 5 in 3" in mismatch(log, manifest)


def test_a_duplicate_chunk_is_a_mismatch(log: MemoryLog) -> None:
    """Its rows would be loaded twice."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    offsets = publish(log, [one, two, two, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 1 instead of chunk 2" in mismatch(log, altered(manifest, ranges=[offsets]))


def test_chunks_in_another_order_are_a_mismatch(log: MemoryLog) -> None:
    """The order of rows changes the model."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    offsets = publish(log, [two, one, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 1 instead of chunk 0" in mismatch(log, altered(manifest, ranges=[offsets]))


@pytest.mark.parametrize("wrong", [{"rows": 6}, {"rows": 4}, {"chunks": 2}, {"chunks": 4}])
def test_a_wrong_count_is_a_mismatch(log: MemoryLog, wrong: dict[str, int]) -> None:
    """Of rows or of chunks."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    assert "5 rows in 3 chunks" in mismatch(log, altered(manifest, **wrong))


def test_other_rows_of_the_same_number_are_a_mismatch(log: MemoryLog) -> None:
    """The digest detects a change that the counts do not."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    assert "another digest" in mismatch(log, altered(manifest, digest="0" * 64))


def test_a_chunk_that_cannot_be_decoded_rejects_the_batch(log: MemoryLog) -> None:
    """No chunk is skipped, so loader, drift and trainer read the same rows."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    broken = Message(two.topic, two.key, two.headers, two.value[:-1])
    offsets = publish(log, [one, broken, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    with pytest.raises(Reject, match="the value is not JSON"):
        read(log, altered(manifest, ranges=[offsets]))


def test_a_range_may_span_partitions(log: MemoryLog) -> None:
    """Ranges are read one after the other, in the manifest's order."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    first = publish(log, [one])
    log.publish([message(ROWS)])
    second = publish(log, [two, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert read(log, altered(manifest, ranges=[first, second])) == CHUNKS


def test_the_digest_depends_on_the_rows_only() -> None:
    """Neither the chunks nor the order of keys change it; the order and the types of the rows do."""

    def digest(*chunks: Rows) -> str:
        rows_digest = RowsDigest()
        for rows in chunks:
            rows_digest.add(rows)
        return rows_digest.hexdigest()

    assert digest([{"a": 1, "b": None}], [{"a": 2}]) == digest([{"b": None, "a": 1}, {"a": 2}])
    assert digest([{"a": 1}, {"a": 2}]) != digest([{"a": 2}, {"a": 1}])
    assert digest([{"a": 1}]) != digest([{"a": 1.5}])
    assert digest([{"a": 1}]) != digest([{"a": "1"}])


def test_records_that_cannot_be_decoded_are_skipped_when_events_are_read(log: MemoryLog) -> None:
    """One broken record does not hide the other events."""
    name = topic("d", "batches")
    log.publish([encode(name, missed("d", 0)), message(name, value=b"\xff"), encode(name, missed("d", 1))])
    assert [each.id for each in read_events(log, "d")] == ["d/1/0/missed", "d/1/1/missed"]


def test_the_last_manifest_of_a_batch_counts(log: MemoryLog) -> None:
    """A batch that was published again is read from its new position."""
    first, again = (publish_chunks(log, "d", 1, 1, CHUNKS) for _ in range(2))
    other = publish_chunks(log, "d", 1, 2, CHUNKS)
    events = [event(f"{n}", payload) for n, payload in enumerate((first, other, again))]
    manifests = batch_manifests([*events, missed("d", 5)])
    assert {key: each.payload for key, each in manifests.items()} == {(1, 1): again, (1, 2): other}


@pytest.mark.failure("F98")
def test_a_topic_that_was_recreated_is_searched_for_the_batch(log: MemoryLog) -> None:
    """The manifest's offsets are not valid there. The batch is found by its key, and the same checks apply."""
    publish_chunks(log, "d", 1, 0, [[{"a": 0}]])
    manifest = publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    log.topics[topic("d", "rows")].clear()
    publish_chunks(log, "d", 1, 1, [[{"a": 1}]])
    publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    shifted = manifest.model_copy(update={"ranges": [OffsetRange(partition=0, first=70, last=71)]})
    assert list(BatchReader(log).chunks(shifted)) == [[{"a": 1}], [{"a": 2}]]


@pytest.mark.failure("F99")
def test_a_batch_that_was_lost_is_never_read_in_part(log: MemoryLog) -> None:
    """Whether only its end is left or nothing at all."""
    manifest = publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    lost = manifest.model_copy(update={"ranges": [OffsetRange(partition=0, first=70, last=71)]})
    del log.topics[topic("d", "rows")][0]
    with pytest.raises(Reject, match="does not match"):
        list(BatchReader(log).chunks(lost))
    log.topics[topic("d", "rows")].clear()
    with pytest.raises(Reject, match="0 rows in 0 chunks"):
        list(BatchReader(log).chunks(lost))


def delete_before(log: MemoryLog, manifest: BatchClosed) -> None:
    """Delete the rows of all batches before this one, as retention does."""
    log.delete_before(ROWS, 0, manifest.ranges[0].first)


@pytest.mark.failure("F250")
def test_a_batch_that_retention_deleted_is_not_taken_for_a_lost_one(log: MemoryLog) -> None:
    """Its offsets are below the beginning of the topic. The batch after it is read as before."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    after = publish_chunks(log, "d", 1, 2, CHUNKS)
    delete_before(log, after)
    with pytest.raises(RowsDeleted, match="deleted by retention: d/1/1"):
        read(log, manifest)
    assert read(log, after) == CHUNKS


@pytest.mark.failure("F250")
def test_a_batch_that_is_deleted_while_it_is_read_is_a_deleted_one(log: MemoryLog) -> None:
    """Not a mismatch, which would be a fault of the data."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    chunks = BatchReader(log).chunks(manifest)
    next(chunks)
    delete_before(log, publish_chunks(log, "d", 1, 2, CHUNKS))
    with pytest.raises(RowsDeleted):
        list(chunks)


@pytest.mark.failure("F249")
def test_a_recreated_topic_is_read_once_for_all_batches() -> None:
    """Then only what it got since. A batch that is not in it is not searched for again in the old part."""
    log = CountingLog()
    manifests = [publish_chunks(log, "d", 1, number, CHUNKS) for number in range(20)]
    moved = [altered(each, ranges=[OffsetRange(partition=0, first=900, last=902)]) for each in manifests]
    lost = altered(publish_chunks(MemoryLog(), "d", 7, 7, CHUNKS), ranges=moved[0].ranges)
    reader = BatchReader(log)
    for manifest in moved:
        assert list(reader.chunks(manifest)) == CHUNKS
    assert log.read_records[ROWS] == 60 + 20 * (3 + 3)
    log.read_records.clear()
    for _ in range(5):
        with pytest.raises(Reject):
            list(reader.chunks(lost))
    assert log.read_records[ROWS] == 0
    publish_chunks(log, "d", 7, 7, CHUNKS)
    assert list(reader.chunks(lost)) == CHUNKS


def closed(epoch: int, number: int) -> BatchClosed:
    """A manifest that names no rows."""
    return BatchClosed(
        dataset="d", epoch=epoch, number=number, rows=1, chunks=1, digest="", dataset_digest="", ranges=[]
    )


def places(batches: list[BatchClosed]) -> list[tuple[int, int]]:
    return [(batch.epoch, batch.number) for batch in batches]


@pytest.mark.failure("F464")
def test_a_batch_replaces_that_of_the_epoch_before() -> None:
    """Each number is there once, the oldest first. A number that the new epoch lacks stays."""
    last, new = [closed(2, number) for number in (0, 1, 2, 4)], [closed(3, number) for number in (0, 2)]
    assert places(newest_of_each_number([*new, *last])) == [(2, 1), (2, 4), (3, 0), (3, 2)]
    assert newest_of_each_number([]) == []


@pytest.mark.failure("F247")
def test_a_training_learns_from_the_newest_batches() -> None:
    """Those of the epoch before are left out first."""
    batches = [closed(epoch, number) for epoch in (1, 2) for number in range(epoch * 700, epoch * 700 + 700)]
    assert places(newest_of_each_number(batches)) == places(batches[-MAX_BATCHES:])
