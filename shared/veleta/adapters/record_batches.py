"""Batches of records as they came from the broker, read with bounds.

Whoever may write to a topic decides what a batch has. kafka-python and aiokafka decompress a batch as a whole, however
large it becomes, and a record that they cannot read ends each poll from its offset on. Here a batch has at most
MAX_BATCH_BYTES, and each record that cannot be read comes as one with the header UNREADABLE: a consumer dead-letters
it, and reads on. No offset is skipped, not even that of a transaction marker.
"""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import zstandard
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch

from veleta.errors import one_line
from veleta.events.envelope import UNREADABLE
from veleta.topics import MAX_MESSAGE_BYTES

MAX_BATCH_BYTES = 2 * MAX_MESSAGE_BYTES
"""The most bytes of the records in a batch. A producer fills a batch with some KB, or with one record."""
GZIP, ZSTD = 1, 4
"""The codecs that are read. Producers of Veleta use Zstandard, and others can be expected to know gzip."""


def decompress(codec: int, data: bytes) -> bytes:
    """The records of a compressed batch.

    Raises:
        ValueError: the codec is another one, or there are more than MAX_BATCH_BYTES.
        OSError, EOFError, zlib.error, zstandard.ZstdError: the data are damaged.
    """
    stream: Any
    if codec == GZIP:
        stream = gzip.GzipFile(fileobj=io.BytesIO(data))
    elif codec == ZSTD:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_BATCH_BYTES)
        stream = decompressor.stream_reader(data, read_across_frames=True)
    else:
        raise ValueError(f"codec {codec} is not supported, only gzip and zstd are")
    records: bytes = stream.read(MAX_BATCH_BYTES + 1)
    if len(records) > MAX_BATCH_BYTES:
        raise ValueError(f"its batch has more than {MAX_BATCH_BYTES} bytes when it is decompressed")
    return records


class BoundedBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python has no types
    """A batch with one record for each offset."""

    _buffer: bytearray
    _pos: int
    _decompressed: bool

    @property
    def is_control_batch(self) -> bool:
        """Never: the consumer would skip a control batch, and with it an offset."""
        return False

    def __iter__(self) -> Iterator[Any]:
        """All records in their order."""
        expected = self.base_offset
        try:
            if self.attributes & self.CONTROL_MASK:
                raise ValueError("it is a marker of a transaction")  # noqa: TRY301 - as any other fault
            self._maybe_uncompress()
            while expected < self.next_offset:
                record = next(self)
                if record.offset != expected:
                    raise ValueError(f"it claims the offset {record.offset}")  # noqa: TRY301 - as any other fault
                yield record
                expected += 1
        except Exception as error:  # noqa: BLE001 - no batch may end a consumer
            headers = [(UNREADABLE, one_line(error).encode())]
            for offset in range(expected, self.next_offset):
                yield DefaultRecord(0, offset, self.max_timestamp, self.timestamp_type, None, None, headers)

    def _maybe_uncompress(self) -> None:
        if self.compression_type and not self._decompressed:
            self._buffer = bytearray(decompress(self.compression_type, bytes(self._buffer[self._pos :])))
            self._pos = 0
        self._decompressed = True


def bound_batches() -> None:
    """Let every consumer of kafka-python in this process read such batches."""
    memory_records.DefaultRecordBatch = BoundedBatch
