"""Waiting for what is not there for a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def waited(ask: Callable[[], list[T]], seconds: float) -> list[T]:
    """The first answer of `ask` that is not empty; an empty one when there was none within so many seconds."""
    end = time.monotonic() + seconds
    while not (found := ask()) and time.monotonic() < end:
        time.sleep(min(1.0, seconds / 10))
    return found
