"""Batches of records: what a reader makes of bombs, damaged records and codecs that it does not know."""

import gzip
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import zstandard
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.structs import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from support.record_batches import MEBIBYTE, batch, bomb, record, records
from veleta.adapters.record_batches import GZIP, MAX_BATCH_BYTES, ZSTD, bound_batches
from veleta.errors import Reject
from veleta.events.envelope import UNREADABLE, Record, decode

COMPRESS: dict[int, Callable[[bytes], bytes]] = {GZIP: gzip.compress, ZSTD: zstandard.compress}
TOO_LARGE = f"its batch has more than {MAX_BATCH_BYTES} bytes when it is decompressed"


@pytest.fixture(params=["kafka", "aiokafka"])
def client(request: pytest.FixtureRequest) -> str:
    bound_batches()
    return str(request.param)


def read(client: str, data: bytes) -> list[Any]:
    """The records of a fetched response, as the fetcher of the client returns them: one for each offset."""
    found: list[Any]
    part, batches = TopicPartition("t", 0), MemoryRecords(data)
    if client == "kafka":
        reader = Fetcher.PartitionRecords(0, part, batches)
        found = reader.take()
    else:
        reader = PartitionRecords(part, batches, [], 0, None, None, True, READ_UNCOMMITTED)
        found = list(reader)
    assert [record.offset for record in found] == list(range(len(found)))
    assert reader.next_fetch_offset == len(found)
    return found


def reasons(found: Sequence[Any]) -> list[str]:
    return [dict(record.headers).get(UNREADABLE, b"").decode() for record in found]


@pytest.mark.parametrize("codec", [0, GZIP, ZSTD])
def test_valid_batches_are_read_as_before(client: str, codec: int) -> None:
    """Uncompressed, or by the two codecs."""
    content = records([b"a", b"b" * 1000, b""])
    packed = COMPRESS[codec](content) if codec else content
    data = batch(packed, 3, codec) + batch(records([b"c"]), base=3)
    found = read(client, data)
    assert [record.value for record in found] == [b"a", b"b" * 1000, b"", b"c"]
    assert [tuple(record.headers) for record in found] == [(("h", b""),)] * 4


@pytest.mark.failure("F361")
@pytest.mark.parametrize("codec", [GZIP, ZSTD])
def test_a_bomb_costs_little_memory_and_one_record(client: str, codec: int) -> None:
    """It is decompressed up to the bound. What follows is read."""
    data = batch(bomb(codec), attributes=codec) + batch(records([b"next"]), base=1)
    assert len(data) < MEBIBYTE
    tracemalloc.start()
    found = read(client, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == [TOO_LARGE, ""]
    assert found[1].value == b"next"
    assert peak < 4 * MAX_BATCH_BYTES


def test_a_frame_that_needs_a_large_window_is_not_read(client: str) -> None:
    """The decompressor would allocate the window before it returns a byte."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = compressor.compress(records([b"x"])) + compressor.flush()
    (reason,) = reasons(read(client, batch(frame, attributes=ZSTD)))
    assert "memory" in reason


UNREADABLE_BATCHES = {
    "a codec without a bound": (batch(b"x", attributes=2), "codec 2 is not supported, only gzip and zstd are"),
    "damaged gzip": (batch(b"x" * 50, attributes=GZIP), "Not a gzipped file (b'xx')"),
    "gzip that breaks off": (
        batch(gzip.compress(records([b"x" * 100]))[:-10], attributes=GZIP),
        "Compressed file ended before the end-of-stream marker was reached",
    ),
    "a header that is no UTF-8": (batch(record(b"x", header=b"\xff")), "UnicodeDecodeError"),
    "a record without an end": (batch(record(b"x")[:-2]), "record"),
    "another offset": (batch(record(b"x", delta=5)), "it claims the offset 5"),
    "a marker of a transaction": (
        batch(record(b"x"), attributes=DefaultRecordBatch.CONTROL_MASK),
        "it is a marker of a transaction",
    ),
}


@pytest.mark.failure("F361")
@pytest.mark.parametrize("name", UNREADABLE_BATCHES)
def test_a_record_that_cannot_be_read_keeps_its_offset(client: str, name: str) -> None:
    """Both libraries would raise at each poll, or leave out the offset, and the consumer would never pass it."""
    data, reason = UNREADABLE_BATCHES[name]
    found = read(client, data + batch(records([b"next"]), base=1))
    assert reason in reasons(found)[0]
    assert [each.value for each in found] == [None, b"next"]


def test_the_records_before_a_damaged_one_are_read(client: str) -> None:
    """Those after it are not: where they begin is not known."""
    content = records([b"a", b"b"]) + record(b"c", delta=2, header=b"\xff") + record(b"d", delta=3)
    found = read(client, batch(content, 4))
    assert [each.value for each in found] == [b"a", b"b", None, None]


def test_a_record_that_cannot_be_read_is_rejected_with_the_reason() -> None:
    """So it becomes a dead letter."""
    with pytest.raises(Reject, match="the record cannot be read: too large"):
        decode(Record("d.batches", 0, 3, "", ((UNREADABLE, b"too large"),), b""))
