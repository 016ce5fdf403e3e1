"""The event log on Kafka, through kafka-python. Every error of Kafka becomes Retry."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.structs import OffsetAndMetadata

from veleta.errors import Reject, Retry
from veleta.events.envelope import Message, Record
from veleta.ports import Checkpoints, Subscription
from veleta.topics import MAX_MESSAGE_BYTES

TIMEOUT_SECONDS = 15
READ_TIMEOUT_SECONDS = 20.0
"""A read that gets no record for this long raises Retry."""
MAX_POLL_RECORDS = 500


@contextlib.contextmanager
def _kafka_errors() -> Iterator[None]:
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Reject("too large for its topic", str(error)) from error
    except KafkaError as error:
        raise Retry("kafka", f"{type(error).__name__} {error}".strip()) from error


class KafkaLog:
    """`EventLog` on one Kafka cluster."""

    def __init__(self, bootstrap: str, client: str) -> None:
        self._bootstrap = bootstrap
        self._client = client
        self._lock = threading.Lock()
        self._producer: Any = None

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        with self._lock, _kafka_errors():
            try:
                return self._send(messages)
            except KafkaError:
                self._close_producer()
                raise

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        if last < first:
            return
        part = TopicPartition(topic, partition)
        with _kafka_errors(), contextlib.closing(self._consumer(None)) as consumer:
            consumer.assign([part])
            last = min(last, consumer.end_offsets([part])[part] - 1)
            consumer.seek(part, first)
            yield from _records_until(consumer, part, last)

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        with _kafka_errors(), contextlib.closing(self._consumer(None)) as consumer:
            parts = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
            if not parts:
                raise Retry("kafka", f"there is no topic {topic}")
            starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            return {part.partition: (starts[part], ends[part]) for part in parts}

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        bounds = {name: self.bounds(name) for name in topics}
        with _kafka_errors():
            return _KafkaSubscription(self._consumer(group), bounds, offsets or {})

    def close(self) -> None:
        """Close the producer."""
        with self._lock:
            self._close_producer()

    def _send(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client,
                acks="all",
                enable_idempotence=True,
                compression_type="zstd",
                linger_ms=5,
                max_request_size=MAX_MESSAGE_BYTES,
                max_block_ms=TIMEOUT_SECONDS * 1000,
                bootstrap_timeout_ms=TIMEOUT_SECONDS * 1000,
            )
        futures = [
            self._producer.send(m.topic, value=m.value, key=m.key.encode(), headers=list(m.headers)) for m in messages
        ]
        self._producer.flush(timeout=2 * TIMEOUT_SECONDS)
        sent = [future.get(timeout=TIMEOUT_SECONDS) for future in futures]
        return [(metadata.partition, metadata.offset) for metadata in sent]

    def _close_producer(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=1)
            self._producer = None

    def _consumer(self, group: str | None) -> Any:
        return _Consumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            bootstrap_timeout_ms=TIMEOUT_SECONDS * 1000,
        )


class _Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """Closes its client if no broker is reachable; kafka-python 3.0.12 leaves a thread and sockets open."""

    def __init__(self, **config: Any) -> None:
        try:
            super().__init__(**config)
        except KafkaError:
            self._client.close()
            raise


def _records_until(consumer: Any, part: TopicPartition, last: int) -> Iterator[Record]:
    last_arrival = time.monotonic()
    while consumer.position(part) <= last:
        for record in consumer.poll(timeout_ms=500).get(part, []):
            last_arrival = time.monotonic()
            if record.offset > last:
                return
            yield _record(record)
        if time.monotonic() - last_arrival > READ_TIMEOUT_SECONDS:
            raise Retry("kafka", f"no record of {part.topic} arrived for {READ_TIMEOUT_SECONDS:.0f} s")


class _KafkaSubscription:
    """Reads all partitions of its topics. It assigns them itself, since each service has one consumer per topic."""

    def __init__(self, consumer: Any, bounds: dict[str, dict[int, tuple[int, int]]], offsets: Checkpoints) -> None:
        self._consumer = consumer
        starts: dict[TopicPartition, int] = {}
        for topic, parts in bounds.items():
            for partition, (first, end) in parts.items():
                offset = max(offsets.get((topic, partition), first), first)
                starts[TopicPartition(topic, partition)] = min(offset, end)
        consumer.assign(list(starts))
        for part, offset in starts.items():
            consumer.seek(part, offset)

    def poll(self, timeout: float) -> list[Record]:
        with _kafka_errors():
            arrived = self._consumer.poll(timeout_ms=int(timeout * 1000))
        return [_record(record) for records in arrived.values() for record in records]

    def commit(self, offsets: Checkpoints) -> None:
        with _kafka_errors():
            self._consumer.commit(
                {TopicPartition(*part): OffsetAndMetadata(offset, "", -1) for part, offset in offsets.items()}
            )

    def close(self) -> None:
        self._consumer.close(timeout_ms=2000)


def _record(record: Any) -> Record:
    key = (record.key or b"").decode(errors="backslashreplace")
    return Record(record.topic, record.partition, record.offset, key, tuple(record.headers), record.value or b"")
