"""Calls that a cancellation does not leave half done."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from veleta.ports import T


async def completed(call: Coroutine[Any, Any, T], shorten: Callable[[], None] = lambda: None) -> T:
    """Await a call. If this task is cancelled meanwhile, the call ends first. `shorten` makes it end soon."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        shorten()
        await asyncio.gather(task, return_exceptions=True)
        raise
