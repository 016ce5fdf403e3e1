"""Puts messages from several sources in the order of their times."""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

from veleta_local.demo.event_messages import Message

DELAY = timedelta(seconds=2)
"""Topics and tables are read at least once a second, so a message arrives sooner after its event."""


class MessageQueue:
    """Holds each message until no earlier one can arrive."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Message]] = []
        self._arrivals = count()

    def put(self, message: Message) -> None:
        """Add a message."""
        heapq.heappush(self._waiting, (message.at, next(self._arrivals), message))

    def take(self, until: datetime) -> Sequence[Message]:
        """Remove and return the messages of all events that are older than `until`, the oldest first."""
        taken = []
        while self._waiting and self._waiting[0][0] <= until:
            taken.append(heapq.heappop(self._waiting)[-1])
        return taken
