"""Blocking calls in threads of their own."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from veleta.threads import call_in_thread

number: ContextVar[int] = ContextVar("number")


async def test_the_result_or_the_error_of_a_call_is_returned() -> None:
    """With the caller's context, which contains what its logs name."""
    number.set(7)
    assert await call_in_thread(number.get) == 7
    with pytest.raises(ZeroDivisionError):
        await call_in_thread(lambda: 1 // 0)


async def test_a_call_does_not_wait_for_others() -> None:
    """Not even if more calls are blocked than `asyncio.to_thread` has threads. None keeps the process alive."""
    release = threading.Event()
    blocked = [asyncio.ensure_future(call_in_thread(release.wait)) for _ in range(50)]
    blocked += [asyncio.ensure_future(asyncio.to_thread(release.wait)) for _ in range(50)]
    try:
        assert (await asyncio.wait_for(call_in_thread(threading.current_thread), 10)).daemon
    finally:
        release.set()
        await asyncio.gather(*blocked)


async def test_the_end_of_a_call_that_was_given_up_is_ignored() -> None:
    """Its thread ends without an error."""
    release, ended = threading.Event(), threading.Event()

    def call() -> None:
        release.wait()
        ended.set()

    pending = asyncio.ensure_future(call_in_thread(call))
    await asyncio.sleep(0)
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    release.set()
    assert await asyncio.to_thread(ended.wait, 10)
