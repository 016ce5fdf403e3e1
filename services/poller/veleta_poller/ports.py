"""The interfaces that the poller requires of its adapters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from veleta.errors import Retry
from veleta_poller.domain.state import PollerState


class ResponseInterrupted(Exception):
    """The API may have received the request, but no complete response came, because of `dependency`."""

    def __init__(self, reason: str, dependency: str = "api") -> None:
        super().__init__(reason)
        self.dependency = dependency


class Overloaded(Retry):
    """The API asks to wait some `seconds`."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__("api", reason)
        self.seconds = seconds


@dataclass(frozen=True)
class StoredResponse:
    """A file in the inbox: `<time>-<status>.body`, or `.part` if the response was interrupted. `size` is in bytes.

    Only the process that received it knows the rest. `refusal` tells why it is refused without parsing it, if it is;
    `retry_after` is how many seconds the API asked to wait.
    """

    name: str
    size: int
    refusal: str = field(default="", compare=False)
    retry_after: float = field(default=0.0, compare=False)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(PurePath(self.name).stem.rpartition("-")[2])


class Api(Protocol):
    """The data API."""

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        """Request the next batch once. The response is durable in the inbox when this returns.

        `on_progress` gets the bytes received so far. Raises Retry if no connection was made, and ResponseInterrupted
        if no complete response came. What came is then in the inbox as a partial response.
        """

    async def restart(self) -> None:
        """Make the API begin again with batch 0.

        Raises Retry if it does not confirm that, and Overloaded if it asks to wait.
        """


class Inbox(Protocol):
    """Responses and the state on disk. Every method blocks. A change is durable when its method returns.

    Every method but `load_state` raises Retry if the disk is full, broken or read-only, and can then be called again.
    """

    def load_state(self) -> PollerState:
        """The state that was saved last, or the initial one. Raises Stop if it cannot be read."""

    def save_state(self, state: PollerState) -> None:
        """Save the state."""

    def require_free_space(self, largest_response: int) -> None:
        """Raises Retry if a disk of the deployment cannot store another response. `largest_response` is in bytes."""

    def interrupted(self) -> list[StoredResponse]:
        """The partial responses, oldest first."""

    def unpublished(self) -> list[StoredResponse]:
        """The complete responses, oldest first."""

    def read(self, response: StoredResponse) -> bytes:
        """The body."""

    def beginning(self, response: StoredResponse) -> bytes:
        """The first bytes of the body."""

    def quarantine(self, response: StoredResponse) -> None:
        """Move a response to the folder for inspection, if it is not yet there."""

    def delete(self, response: StoredResponse) -> None:
        """Delete a response, if it still exists."""
