"""A batch is read by its manifest, whole or not at all."""

from collections.abc import Iterator

import pytest

from support.records import chunk_messages, event, message, missed, publish_chunks
from veleta.adapters.memory import MemoryLog
from veleta.batches import BatchReader, Rows, RowsDigest, batch_manifests, read_events
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.events.envelope import Message, encode
from veleta.topics import topic

CHUNKS: list[Rows] = [[{"a": 1}, {"a": 2}], [{"a": 3}], [{"a": 4}, {"a": 5}]]
ROWS = topic("d", "rows")


@pytest.fixture
def log() -> MemoryLog:
    """A log in which another batch lies before ours."""
    found = MemoryLog()
    publish_chunks(found, "d", 1, 0, [[{"a": 0}]])
    return found


def read(log: MemoryLog, manifest: BatchClosed) -> list[Rows]:
    return list(BatchReader(log).chunks(manifest))


def put(log: MemoryLog, chunks: list[Message]) -> OffsetRange:
    """Publish messages; the range in which they lie."""
    places = log.publish(chunks)
    return OffsetRange(partition=0, first=places[0][1], last=places[-1][1])


def altered(manifest: BatchClosed, **changes: object) -> BatchClosed:
    return manifest.model_copy(update=changes)


def fault(log: MemoryLog, manifest: BatchClosed) -> str:
    with pytest.raises(Reject) as caught:
        read(log, manifest)
    assert caught.value.reason == "the manifest does not match"
    return str(caught.value)


def test_chunks_come_in_their_order(log: MemoryLog) -> None:
    """As they were received, row by row."""
    assert read(log, publish_chunks(log, "d", 1, 1, CHUNKS)) == CHUNKS


def test_a_batch_can_be_read_again_at_any_time(log: MemoryLog) -> None:
    """The manifest is all that is needed, whatever came after."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    publish_chunks(log, "d", 1, 2, CHUNKS)
    assert read(log, manifest) == read(log, manifest) == CHUNKS


def test_chunks_are_given_as_they_are_read(log: MemoryLog) -> None:
    """Nobody needs to hold the whole batch in memory."""
    chunks: Iterator[Rows] = BatchReader(log).chunks(publish_chunks(log, "d", 1, 1, CHUNKS))
    assert next(chunks) == CHUNKS[0]


def test_foreign_records_within_the_range_are_passed_over(log: MemoryLog) -> None:
    """Another writer, or another batch: the key says whose a record is."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    (other,) = chunk_messages("d", 9, 9, [[{"a": 9}]])
    where = put(log, [one, message(ROWS, "somebody", b"\xff"), two, other, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert read(log, altered(manifest, ranges=[where])) == CHUNKS


def test_a_second_publication_after_a_crash_counts_by_its_range(log: MemoryLog) -> None:
    """What the first one left behind lies outside; the manifest covers the second, whole."""
    log.publish(chunk_messages("d", 1, 1, CHUNKS)[:2])
    assert read(log, publish_chunks(log, "d", 1, 1, CHUNKS)) == CHUNKS


def test_a_missing_chunk_in_the_middle_is_a_mismatch(log: MemoryLog) -> None:
    """It shows where it is missing."""
    one, _, three = chunk_messages("d", 1, 1, CHUNKS)
    where = put(log, [one, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 2 instead of chunk 1" in fault(log, altered(manifest, ranges=[where]))


def test_a_lost_end_is_a_mismatch(log: MemoryLog) -> None:
    """The log ends before the manifest's range does."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    log.topics[ROWS].pop()
    assert "3 rows in 2 chunks, not 5 in 3" in fault(log, manifest)


def test_a_doubled_chunk_is_a_mismatch(log: MemoryLog) -> None:
    """Its rows would count twice."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    where = put(log, [one, two, two, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 1 instead of chunk 2" in fault(log, altered(manifest, ranges=[where]))


def test_chunks_in_another_order_are_a_mismatch(log: MemoryLog) -> None:
    """The order of rows changes the model."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    where = put(log, [two, one, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert "chunk 1 instead of chunk 0" in fault(log, altered(manifest, ranges=[where]))


@pytest.mark.parametrize("wrong", [{"rows": 6}, {"rows": 4}, {"chunks": 2}, {"chunks": 4}])
def test_a_wrong_count_is_a_mismatch(log: MemoryLog, wrong: dict[str, int]) -> None:
    """Of rows or of chunks."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    assert "5 rows in 3 chunks" in fault(log, altered(manifest, **wrong))


def test_other_rows_of_the_same_number_are_a_mismatch(log: MemoryLog) -> None:
    """The digest sees what counting does not."""
    manifest = publish_chunks(log, "d", 1, 1, CHUNKS)
    assert "another digest" in fault(log, altered(manifest, digest="0" * 64))


def test_a_chunk_that_cannot_be_decoded_rejects_the_batch(log: MemoryLog) -> None:
    """Never one chunk skipped: loader, drift and trainer would see three different batches."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    broken = Message(two.topic, two.key, two.headers, two.value[:-1])
    where = put(log, [one, broken, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    with pytest.raises(Reject, match="the value is not JSON"):
        read(log, altered(manifest, ranges=[where]))


def test_a_range_may_span_partitions(log: MemoryLog) -> None:
    """Ranges are read one after the other, in the manifest's order."""
    one, two, three = chunk_messages("d", 1, 1, CHUNKS)
    first = put(log, [one])
    log.publish([message(ROWS)])
    second = put(log, [two, three])
    manifest = publish_chunks(MemoryLog(), "d", 1, 1, CHUNKS)
    assert read(log, altered(manifest, ranges=[first, second])) == CHUNKS


def test_the_digest_is_of_rows_not_of_chunks() -> None:
    """However rows are cut into chunks and their keys are ordered, the same rows give the same digest."""

    def digest(*chunks: Rows) -> str:
        found = RowsDigest()
        for rows in chunks:
            found.add(rows)
        return found.hexdigest()

    assert digest([{"a": 1, "b": None}], [{"a": 2}]) == digest([{"b": None, "a": 1}, {"a": 2}])
    assert digest([{"a": 1}, {"a": 2}]) != digest([{"a": 2}, {"a": 1}])
    assert digest([{"a": 1}]) != digest([{"a": 1.5}])
    assert digest([{"a": 1}]) != digest([{"a": "1"}])


def test_history_leaves_out_what_cannot_be_read(log: MemoryLog) -> None:
    """One broken record does not hide the others."""
    name = topic("d", "batches")
    log.publish([encode(name, missed("d", 0)), message(name, value=b"\xff"), encode(name, missed("d", 1))])
    assert [found.id for found in read_events(log, "d")] == ["d/1/0/missed", "d/1/1/missed"]


def test_the_last_manifest_of_a_batch_counts(log: MemoryLog) -> None:
    """A batch that was published again is read where it lies now."""
    first, again = (publish_chunks(log, "d", 1, 1, CHUNKS) for _ in range(2))
    other = publish_chunks(log, "d", 1, 2, CHUNKS)
    events = [event(f"{n}", payload) for n, payload in enumerate((first, other, again))]
    found = batch_manifests([*events, missed("d", 5)])
    assert {key: kept.payload for key, kept in found.items()} == {(1, 1): again, (1, 2): other}


@pytest.mark.failure("F09")
def test_a_topic_that_was_made_anew_is_searched_for_the_batch(log: MemoryLog) -> None:
    """The manifest's offsets mean nothing there; the batch's name does, and the same checks apply."""
    publish_chunks(log, "d", 1, 0, [[{"a": 0}]])
    manifest = publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    log.topics[topic("d", "rows")].clear()
    publish_chunks(log, "d", 1, 1, [[{"a": 1}]])
    publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    shifted = manifest.model_copy(update={"ranges": [OffsetRange(partition=0, first=70, last=71)]})
    assert list(BatchReader(log).chunks(shifted)) == [[{"a": 1}], [{"a": 2}]]


@pytest.mark.failure("F09")
def test_a_batch_that_is_gone_is_named_and_never_a_part_of_it_taken(log: MemoryLog) -> None:
    """Nothing of it is left, or only its end."""
    manifest = publish_chunks(log, "d", 1, 1, [[{"a": 1}], [{"a": 2}]])
    elsewhere = manifest.model_copy(update={"ranges": [OffsetRange(partition=0, first=70, last=71)]})
    del log.topics[topic("d", "rows")][0]
    with pytest.raises(Reject, match="does not match"):
        list(BatchReader(log).chunks(elsewhere))
    log.topics[topic("d", "rows")].clear()
    with pytest.raises(Reject, match="0 rows in 0 chunks"):
        list(BatchReader(log).chunks(elsewhere))
