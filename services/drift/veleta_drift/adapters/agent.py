"""The Faust agent: one small event, one effect, one acknowledgement. It keeps no state of its own."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust

from veleta.events.envelope import Record


def make_app(name: str, bootstrap: str, folder: str) -> faust.App:
    """A Faust app that declares no topic and serves no page; it wants a folder, and leaves it empty.

    The session times let a second worker take over within some 13 s of the first one's end.
    """
    # While the broker is away it says so eighty times a second; the worker's watch says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        broker_session_timeout=10,
        broker_heartbeat_interval=3,
        web_enabled=False,
    )


def add_agent(app: faust.App, topic: str, take: Callable[[Record], Awaitable[bool]]) -> None:
    """Hand each record of `topic` to `take`, which says whether it is done with.

    Faust acknowledges an event whose agent raised (faust-streaming#527), so `take` must not raise.
    """

    async def assess(stream: Any) -> None:
        async for event in stream.noack().events():
            if await take(_record(event.message)):
                event.ack()

    app.agent(app.topic(topic, value_type=bytes, key_type=bytes), name="assess", concurrency=1)(assess)


def _record(message: Any) -> Record:
    key = (message.key or b"").decode(errors="backslashreplace")
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Record(message.topic, message.partition, message.offset, key, tuple(headers), message.value or b"")
