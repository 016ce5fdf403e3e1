"""Batches of records in Kafka's format, valid and damaged, written by hand."""

import gzip
import io
from collections.abc import Sequence
from typing import Any

import zstandard
from kafka.protocol.producer import ProduceRequest
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import calc_crc32c, encode_varint

from veleta.adapters.kafka_clients import Admin
from veleta.adapters.record_batches import GZIP
from veleta.settings import KafkaSettings

MEBIBYTE = 1024 * 1024
PARTS = 100
"""The MiB of a bomb."""
MAGIC = 2
NO_PRODUCER = -1


def record(value: bytes | None, delta: int = 0, header: bytes = b"h", content: bytes | None = b"") -> bytes:
    """A record with one header, at the offset `delta` of its batch."""
    before, after = _around(None if value is None else len(value), delta, header, content)
    return before + (value or b"") + after


def _around(size: int | None, delta: int = 0, header: bytes = b"h", content: bytes | None = b"") -> tuple[bytes, bytes]:
    """What comes before and after the value of a record."""
    before, after = bytearray(b"\0\0"), bytearray()  # attributes, and the difference of the timestamp
    for number in (delta, -1, _length(size)):  # -1: no key
        encode_varint(number, before.append)
    for number in (1, len(header)):
        encode_varint(number, after.append)
    after += header
    encode_varint(_length(None if content is None else len(content)), after.append)
    after += content or b""
    length = bytearray()
    encode_varint(len(before) + (size or 0) + len(after), length.append)
    return bytes(length + before), bytes(after)


def _length(size: int | None) -> int:
    return -1 if size is None else size


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


def bomb(codec: int) -> bytes:
    """The records of a batch: one of 100 MiB in some hundred KB, compressed part by part."""
    packed, part = io.BytesIO(), bytes(MEBIBYTE)
    writer: Any = (
        gzip.GzipFile(fileobj=packed, mode="wb")
        if codec == GZIP
        else zstandard.ZstdCompressor().stream_writer(packed, closefd=False)
    )
    before, after = _around(PARTS * len(part))
    for data in (before, *[part] * PARTS, after):
        writer.write(data)
    writer.close()
    return packed.getvalue()


def produce(kafka: KafkaSettings, topic: str, data: Sequence[bytes]) -> list[int]:
    """Send batches to the first partition of a topic as they are. A producer would refuse some, or make others.

    Returns the offset of each.
    """
    parts = ProduceRequest.TopicProduceData
    part = parts.PartitionProduceData
    offsets = []
    with Admin(kafka, "test").connected() as admin:
        for each in data:
            content = [parts(name=topic, partition_data=[part(index=0, records=each)])]
            request = ProduceRequest(acks=-1, timeout_ms=60_000, topic_data=content, max_version=9)
            ((answer,),) = (r.partition_responses for r in admin._manager.run(admin._manager.send, request).responses)
            assert answer.error_code == 0, answer
            offsets.append(answer.base_offset)
    return offsets
