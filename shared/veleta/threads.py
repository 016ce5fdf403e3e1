"""Runs blocking calls in threads of their own."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def call_in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a new thread, and return its result.

    `asyncio.to_thread` shares a few threads, and the process waits for them at its end. A call here needs none of them,
    and does not delay the end of the process.
    """
    return await asyncio.wrap_future(_start(call))


def call_with_time_out(call: Callable[[], T], seconds: float) -> T:
    """Run a blocking call in a new thread, and return its result.

    Raises:
        TimeoutError: it did not return in time. Its thread goes on, and does not delay the end of the process.
    """
    return _start(call).result(seconds)


def _start(call: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
