"""The event log on Kafka, through kafka-python. Every error of Kafka becomes Retry."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from veleta.adapters.kafka_clients import (
    CLOSE_SECONDS,
    Admin,
    Consumer,
    Producer,
    client_arguments,
    described_topics,
    kafka_errors,
)
from veleta.errors import Retry
from veleta.events.envelope import Message, Record
from veleta.ports import Checkpoints, Subscription
from veleta.settings import KafkaSettings
from veleta.timeouts import (
    CHECK_SECONDS,
    KAFKA_PUBLISH_SECONDS,
    KAFKA_REQUEST_SECONDS,
    KAFKA_SILENCE_SECONDS,
)
from veleta.topics import MAX_MESSAGE_BYTES

MAX_POLL_RECORDS = 500
READ_RECORDS = 50
"""How many records `read` holds at once: a chunk of rows has up to 512 KB."""
POLL_MS = 500


class KafkaLog:
    """`EventLog` on one Kafka cluster."""

    def __init__(self, kafka: KafkaSettings, client: str, seconds: float = KAFKA_REQUEST_SECONDS) -> None:
        """`seconds` limit one request to the broker."""
        self._arguments = client_arguments(kafka, client, seconds)
        self._milliseconds = int(seconds * 1000)
        self._lock = threading.Lock()
        self._producer: Any = None
        self._admin = Admin(kafka, client, seconds)
        self._checks = Admin(kafka, client, min(CHECK_SECONDS, seconds))

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        with self._errors({message.topic for message in messages}), self._lock:
            try:
                return self._send(messages)
            except KafkaError:
                self._close_producer()
                raise

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        if last < first:
            return
        part = TopicPartition(topic, partition)
        with self._errors([topic]), contextlib.closing(self._consumer(None)) as consumer:
            if partition not in (consumer.partitions_for_topic(topic) or {partition}):
                return
            consumer.assign([part])
            last = min(last, consumer.end_offsets([part])[part] - 1)
            consumer.seek(part, max(first, consumer.beginning_offsets([part])[part]))
            yield from _records_until(consumer, part, last)

    def check(self, topics: Collection[str]) -> None:
        with self._checks.connected() as admin:
            described_topics(admin, topics)

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        with self._admin.connected() as admin:
            parts = _partitions(admin, topic)
            starts = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST))
            ends = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
        return {part.partition: (starts[part].offset, ends[part].offset) for part in parts}

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        bounds = {name: self.bounds(name) for name in topics}
        with kafka_errors():
            return _KafkaSubscription(self._consumer(group), bounds, offsets or {}, self.check)

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            self._close_producer()
        self._admin.close()
        self._checks.close()

    @contextlib.contextmanager
    def _errors(self, topics: Collection[str]) -> Iterator[None]:
        """Translate errors of Kafka. If a topic does not exist, that is the reason: the library reports a time-out."""
        try:
            with kafka_errors():
                yield
        except Retry:
            self.check(topics)
            raise

    def _send(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        if self._producer is None:
            self._producer = Producer(
                **self._arguments,
                acks="all",
                enable_idempotence=True,
                compression_type="zstd",
                linger_ms=5,
                max_request_size=MAX_MESSAGE_BYTES,
                max_block_ms=self._milliseconds,
                delivery_timeout_ms=int(KAFKA_PUBLISH_SECONDS * 1000),
            )
        futures = [
            self._producer.send(m.topic, value=m.value, key=m.key.encode(), headers=list(m.headers)) for m in messages
        ]
        self._producer.flush(timeout=KAFKA_PUBLISH_SECONDS)
        sent = [future.get(timeout=CLOSE_SECONDS) for future in futures]
        return [(metadata.partition, metadata.offset) for metadata in sent]

    def _close_producer(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.close(timeout=CLOSE_SECONDS)

    def _consumer(self, group: str | None) -> Any:
        return Consumer(
            **self._arguments,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        )


def _partitions(admin: Any, topic: str) -> list[TopicPartition]:
    """The partitions of a topic, by one request. Raises Retry if there is no such topic."""
    (described,) = described_topics(admin, [topic])
    return sorted(TopicPartition(topic, each["partition_index"]) for each in described["partitions"])


def _records_until(consumer: Any, part: TopicPartition, last: int) -> Iterator[Record]:
    """The records up to `last`. Only the time that this waits for Kafka counts, not the time between two records."""
    waited = 0.0
    while waited <= KAFKA_SILENCE_SECONDS:
        started = time.monotonic()
        position = consumer.position(part, timeout_ms=POLL_MS)
        if position is not None and position > last:
            return
        records = consumer.poll(timeout_ms=POLL_MS, max_records=READ_RECORDS).get(part, [])
        waited = 0.0 if records else waited + time.monotonic() - started
        for record in records:
            if record.offset > last:
                return
            yield _record(record)
    raise Retry("kafka", f"no record of {part.topic} arrived for {KAFKA_SILENCE_SECONDS:.0f} s")


class _KafkaSubscription:
    """Reads all partitions of its topics. It assigns them itself, since each service has one consumer per topic."""

    def __init__(
        self,
        consumer: Any,
        bounds: dict[str, dict[int, tuple[int, int]]],
        offsets: Checkpoints,
        check: Callable[[Collection[str]], None],
    ) -> None:
        """`check` raises Retry if a topic does not exist: the consumer itself goes on without an error."""
        self._consumer = consumer
        self._check = check
        starts: dict[TopicPartition, int] = {}
        for topic, parts in bounds.items():
            for partition, (first, end) in parts.items():
                offset = offsets.get((topic, partition), first)
                starts[TopicPartition(topic, partition)] = offset if first <= offset <= end else first
        consumer.assign(list(starts))
        for part, offset in starts.items():
            consumer.seek(part, offset)

    def poll(self, timeout: float) -> list[Record]:
        with kafka_errors():
            arrived = self._consumer.poll(timeout_ms=int(timeout * 1000))
        if not arrived and (unknown := self._consumer.unknown_topics()):
            self._check(unknown)
        return [_record(record) for records in arrived.values() for record in records]

    def commit(self, offsets: Checkpoints) -> None:
        with kafka_errors():
            committed = {TopicPartition(*part): OffsetAndMetadata(offset, "", -1) for part, offset in offsets.items()}
            self._consumer.commit(committed, timeout_ms=KAFKA_REQUEST_SECONDS * 1000)

    def close(self) -> None:
        self._consumer.close(timeout_ms=CLOSE_SECONDS * 1000)


def _record(record: Any) -> Record:
    key = (record.key or b"").decode(errors="backslashreplace")
    headers = tuple((name, value or b"") for name, value in record.headers)
    return Record(record.topic, record.partition, record.offset, key, headers, record.value or b"")
