"""Polling for rows that may arrive later."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll(fetch: Callable[[], list[T]], timeout: float) -> list[T]:
    """Call `fetch` until it returns a list that is not empty. Returns an empty list after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (items := fetch()) and time.monotonic() < deadline:
        time.sleep(min(1.0, timeout / 10))
    return items
