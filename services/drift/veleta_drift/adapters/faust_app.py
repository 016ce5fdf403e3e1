"""The Faust app and its agent, which passes each record on. Neither has a state of its own."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka.consumer import fetcher
from kafka.record.memory_records import MemoryRecords

from veleta.adapters.kafka_clients import sasl_mechanism
from veleta.adapters.record_batches import bound_batches
from veleta.events.envelope import Record
from veleta.settings import KafkaSettings
from veleta.timeouts import FAUST_REQUEST_SECONDS


def make_app(name: str, kafka: KafkaSettings, folder: str) -> faust.App:
    """A Faust app without topics and web pages of its own. It requires a folder and writes nothing to it.

    The session timeout lets a second worker start about 13 s after the first one ended.
    """
    # Its own batches are decompressed without a bound, and its Cython reads beyond the end of a damaged record.
    fetcher.MemoryRecords = MemoryRecords
    bound_batches()
    # While Kafka is unreachable, aiokafka logs it eighty times a second; the worker's health check logs it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return faust.App(
        name,
        broker=f"kafka://{kafka.bootstrap}",
        broker_credentials=_credentials(kafka),
        datadir=folder,
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        broker_request_timeout=FAUST_REQUEST_SECONDS,
        producer_request_timeout=FAUST_REQUEST_SECONDS,
        broker_session_timeout=10,
        broker_heartbeat_interval=3,
        web_enabled=False,
    )


def _credentials(kafka: KafkaSettings) -> faust.SASLCredentials | None:
    if not kafka.user:
        return None
    password = kafka.password.get_secret_value()
    return faust.SASLCredentials(username=kafka.user, password=password, mechanism=sasl_mechanism(kafka.user))


def add_agent(app: faust.App, topic: str, process: Callable[[Record], Awaitable[bool]]) -> None:
    """Pass each record of `topic` to `process`, and acknowledge it if `process` returns True.

    Faust acknowledges an event whose agent raised (faust-streaming#527), so `process` must not raise.
    """

    async def process_records(stream: Any) -> None:
        async for event in stream.noack().events():
            if await process(_record(event.message)):
                event.ack()

    app.agent(app.topic(topic, value_type=bytes, key_type=bytes), name="process_records", concurrency=1)(
        process_records
    )


def _record(message: Any) -> Record:
    key = (message.key or b"").decode(errors="backslashreplace")
    pairs = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    headers = tuple((name, value or b"") for name, value in pairs)
    return Record(message.topic, message.partition, message.offset, key, headers, message.value or b"")
