"""The current state. Every change is on disk before anything else sees it."""

import asyncio
from collections.abc import Callable
from functools import partial

from veleta.service.health import ServiceHealth
from veleta_poller.domain.state import PollerState
from veleta_poller.ports import Inbox


class StateStore:
    """Saves each transition of the state, one at a time: the poll loop and the command handler run concurrently."""

    def __init__(self, inbox: Inbox, health: ServiceHealth) -> None:
        self._inbox = inbox
        self._health = health
        self._lock = asyncio.Lock()
        self.state = PollerState()

    async def load(self) -> None:
        """Load the stored state. Raises Stop if it cannot be read."""
        self.state = await asyncio.to_thread(self._inbox.load_state)

    async def update(self, transition: Callable[[PollerState], PollerState]) -> None:
        """Replace the state by the next one, after that is stored. Waits for a disk that cannot store it."""
        async with self._lock:
            state = transition(self.state)
            if state != self.state:
                save = partial(asyncio.to_thread, self._inbox.save_state, state)
                await self._health.retry_until_available(save)
                self.state = state
