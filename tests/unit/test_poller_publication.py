"""A batch as events."""

from datetime import UTC, datetime

import orjson

from veleta.batches import RowsDigest
from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
from veleta.events.envelope import trace_of
from veleta_poller.domain.answers import Batch
from veleta_poller.domain.publication import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    Publication,
    chunks,
    declared,
    missed,
    ranges,
    refused,
)
from veleta_poller.domain.sequence import Step

DATASET = load_dataset("real_estate")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def publication(rows: int, step: Step | None = None) -> Publication:
    """A batch of numbered rows on its way."""
    numbered = [{"row": i} for i in range(rows)]
    digest = RowsDigest()
    digest.add(numbered)
    return Publication(DATASET, step or Step("take", 2, 3), Batch(3, numbered, digest.hexdigest()), NOON)


def test_chunks_hold_all_rows_in_order() -> None:
    """Some hundred rows each."""
    rows = [{"row": i} for i in range(2 * CHUNK_ROWS + 1)]
    assert [len(chunk) for chunk in chunks(rows)] == [CHUNK_ROWS, CHUNK_ROWS, 1]
    assert [row for chunk in chunks(rows) for row in chunk] == rows


def test_large_rows_make_smaller_chunks() -> None:
    """A chunk's JSON stays below its limit, but for a single row that is above it."""
    rows = [{"row": i, "text": "x" * (100_000 if i != 3 else CHUNK_BYTES)} for i in range(10)]
    made = list(chunks(rows))
    assert [row for chunk in made for row in chunk] == rows
    assert all(len(orjson.dumps(chunk)) <= CHUNK_BYTES or len(chunk) == 1 for chunk in made)
    assert len(made) < len(rows)


def test_ids_are_derived_and_every_event_names_its_cause() -> None:
    """Publishing again gives the same ids; all events of a batch travel under one trace."""
    batch = publication(CHUNK_ROWS + 1)
    rows, closed = list(batch.rows()), batch.closed([(0, 5), (0, 6)], [])
    assert batch.opened.id == "real_estate/2/3/opened"
    assert [event.id for event in rows] == ["real_estate/2/3/rows/0", "real_estate/2/3/rows/1"]
    assert closed.id == "real_estate/2/3/closed"
    assert {event.cause for event in (*rows, closed)} == {batch.opened.id}
    assert {event.trace for event in (batch.opened, *rows, closed)} == {trace_of("real_estate/2/3")}


def test_chunks_say_where_they_begin() -> None:
    """The reader sees when one is missing or twice there."""
    payloads = [event.payload for event in publication(CHUNK_ROWS + 1).rows()]
    where = [(p.chunk, p.first_row, len(p.rows)) for p in payloads if isinstance(p, BatchRows)]
    assert where == [(0, 0, CHUNK_ROWS), (1, CHUNK_ROWS, 1)]


def test_the_manifest_says_all_that_is_needed_to_read_the_batch() -> None:
    """Ranges, counts, digests and what was odd."""
    batch = publication(7)
    payload = batch.closed([(0, 9)], ["odd"]).payload
    assert isinstance(payload, BatchClosed)
    assert (payload.rows, payload.chunks, payload.digest) == (7, 1, batch.batch.digest)
    assert (payload.dataset_digest, payload.findings) == (DATASET.digest, ["odd"])
    assert payload.ranges == [OffsetRange(partition=0, first=9, last=9)]


def test_ranges_are_by_partition() -> None:
    """First and last offset, both included."""
    assert ranges([(1, 4), (0, 7), (1, 5), (0, 9)]) == [
        OffsetRange(partition=0, first=7, last=9),
        OffsetRange(partition=1, first=4, last=5),
    ]


def test_each_number_that_was_passed_over_is_missed() -> None:
    """In the epoch of the batch that came instead."""
    events = publication(1, Step("take", 2, 3, range(1, 3))).missed()
    assert [event.id for event in events] == ["real_estate/2/1/missed", "real_estate/2/2/missed"]
    assert missed(DATASET, (2, 1), "why", NOON).id == events[0].id


def test_a_refusal_is_known_by_the_file_that_is_kept() -> None:
    """Two refused answers for one number are two events."""
    event = refused(DATASET, (2, 4), "HTTP 500", 500, "x-500.body", NOON)
    assert event.id == "real_estate/2/4/refused/x-500.body"
    assert event.trace == trace_of("real_estate/2/4")


def test_declarations_are_counted() -> None:
    """A dataset file that comes back after another one is a new declaration."""
    assert [declared(DATASET, count, NOON).id for count in range(2)] == [
        "real_estate/declared/0",
        "real_estate/declared/1",
    ]
