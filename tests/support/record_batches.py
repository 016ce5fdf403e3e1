"""Batches of records in Kafka's format, valid and damaged, written by hand."""

from collections.abc import Sequence

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import calc_crc32c, encode_varint

MAGIC = 2
NO_PRODUCER = -1


def record(value: bytes, delta: int = 0, header: bytes = b"h") -> bytes:
    """A record with one header, at the offset `delta` of its batch."""
    body = bytearray(b"\0\0")  # attributes, and the difference of the timestamp
    for number in (delta, -1, len(value)):  # -1: no key
        encode_varint(number, body.append)
    body += value
    for number in (1, len(header)):
        encode_varint(number, body.append)
    body += header
    encode_varint(0, body.append)
    length = bytearray()
    encode_varint(len(body), length.append)
    return bytes(length + body)


def records(values: Sequence[bytes]) -> bytes:
    """The records of a batch."""
    return b"".join(record(value, delta) for delta, value in enumerate(values))


def batch(content: bytes, count: int = 1, attributes: int = 0, base: int = 0) -> bytes:
    """A batch of `count` records from the offset `base` on. `attributes` name the codec of the content."""
    header = DefaultRecordBatch.HEADER_STRUCT
    length = header.size - DefaultRecordBatch.AFTER_LEN_OFFSET + len(content)

    def packed(crc: int) -> bytes:
        fields = base, length, 0, MAGIC, crc, attributes, count - 1, 0, 0, NO_PRODUCER, -1, -1, count
        return bytes(header.pack(*fields)) + content

    return packed(calc_crc32c(packed(0)[DefaultRecordBatch.ATTRIBUTES_OFFSET :]))
