"""The events of a batch."""

from datetime import UTC, datetime

import orjson

from veleta.batches import RowsDigest
from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
from veleta.events.envelope import trace_of
from veleta_poller.domain.events import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    BatchEvents,
    declared_event,
    missed_event,
    offset_ranges,
    refused_event,
    split_into_chunks,
)
from veleta_poller.domain.responses import Batch
from veleta_poller.domain.sequence import BatchId, Placement

DATASET = load_dataset("real_estate")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BATCH = BatchId(2, 3)


def events_of(count: int, missed: tuple[BatchId, ...] = ()) -> BatchEvents:
    """The events of a batch with `count` numbered rows."""
    rows = [{"row": i} for i in range(count)]
    digest = RowsDigest()
    digest.add(rows)
    return BatchEvents(DATASET, Placement(BATCH, missed), Batch(BATCH.number, rows, digest.hexdigest()), NOON)


def test_chunks_have_all_rows_in_order() -> None:
    """Each has at most CHUNK_ROWS rows."""
    rows = [{"row": i} for i in range(2 * CHUNK_ROWS + 1)]
    assert [len(chunk) for chunk in split_into_chunks(rows)] == [CHUNK_ROWS, CHUNK_ROWS, 1]
    assert [row for chunk in split_into_chunks(rows) for row in chunk] == rows


def test_large_rows_have_smaller_chunks() -> None:
    """The JSON of a chunk is at most CHUNK_BYTES long, except for a single larger row."""
    rows = [{"row": i, "text": "x" * (100_000 if i != 3 else CHUNK_BYTES)} for i in range(10)]
    large = list(split_into_chunks(rows))
    assert [row for chunk in large for row in chunk] == rows
    assert all(len(orjson.dumps(chunk)) <= CHUNK_BYTES or len(chunk) == 1 for chunk in large)
    assert len(large) < len(rows)


def test_ids_are_derived_and_every_event_names_its_cause() -> None:
    """Publishing again gives the same ids. All events of a batch have one trace."""
    batch = events_of(CHUNK_ROWS + 1)
    rows, closed = list(batch.rows()), batch.closed([(0, 5), (0, 6)], [])
    assert batch.opened.id == "real_estate/2/3/opened"
    assert [event.id for event in rows] == ["real_estate/2/3/rows/0", "real_estate/2/3/rows/1"]
    assert closed.id == "real_estate/2/3/closed"
    assert {event.cause for event in (*rows, closed)} == {batch.opened.id}
    assert {event.trace for event in (batch.opened, *rows, closed)} == {trace_of("real_estate/2/3")}


def test_a_chunk_has_its_number_and_its_first_row() -> None:
    """A reader can detect missing and repeated chunks."""
    payloads = [event.payload for event in events_of(CHUNK_ROWS + 1).rows()]
    chunks = [(p.chunk, p.first_row, len(p.rows)) for p in payloads if isinstance(p, BatchRows)]
    assert chunks == [(0, 0, CHUNK_ROWS), (1, CHUNK_ROWS, 1)]


def test_the_manifest_has_all_that_is_needed_to_read_the_batch() -> None:
    """Offset ranges, counts, digests and findings."""
    batch = events_of(7)
    payload = batch.closed([(0, 9)], ["a finding"]).payload
    assert isinstance(payload, BatchClosed)
    assert (payload.rows, payload.chunks, payload.digest) == (7, 1, batch.batch.digest)
    assert (payload.dataset_digest, payload.findings) == (DATASET.digest, ["a finding"])
    assert payload.ranges == [OffsetRange(partition=0, first=9, last=9)]


def test_offset_ranges_are_by_partition() -> None:
    """Each has the first and the last offset."""
    assert offset_ranges([(1, 4), (0, 7), (1, 5), (0, 9)]) == [
        OffsetRange(partition=0, first=7, last=9),
        OffsetRange(partition=1, first=4, last=5),
    ]


def test_each_skipped_batch_has_an_event() -> None:
    """Its id is the same as that of a batch missed at the end of the data."""
    events = events_of(1, missed=(BatchId(2, 1), BatchId(2, 2))).missed()
    assert [event.id for event in events] == ["real_estate/2/1/missed", "real_estate/2/2/missed"]
    assert missed_event(DATASET, BatchId(2, 1), "why", NOON).id == events[0].id


def test_a_refused_response_is_identified_by_its_file() -> None:
    """Two refused responses for one number are two events."""
    event = refused_event(DATASET, BatchId(2, 4), "HTTP 500", 500, "x-500.body", NOON)
    assert event.id == "real_estate/2/4/refused/x-500.body"
    assert event.trace == trace_of("real_estate/2/4")


def test_declarations_are_counted() -> None:
    """A dataset file that returns after another one is a new declaration."""
    assert [declared_event(DATASET, count, NOON).id for count in range(2)] == [
        "real_estate/declared/0",
        "real_estate/declared/1",
    ]
