"""The interfaces that the poller's handlers require."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from veleta_poller.domain.responses import Batch
from veleta_poller.domain.sequence import BatchId, Placement, Position
from veleta_poller.domain.state import PollerState, Reply


class ResponseInterrupted(Exception):
    """The API may have received the request, but no complete response came."""


@dataclass(frozen=True)
class StoredResponse:
    """A response in the inbox, by its file: `<time>-<status>.body`, or `.part` if it was interrupted."""

    name: str

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(PurePath(self.name).stem.rpartition("-")[2])


class Api(Protocol):
    """The data API."""

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        """Request the next batch once. The response is durable in the inbox when this returns.

        `on_progress` gets the number of bytes received so far.

        Raises:
            Retry: no connection was made.
            ResponseInterrupted: no complete response came. What came is in the inbox as a partial response.
        """

    async def restart(self) -> None:
        """Make the API begin again with batch 0. Raises Retry if it does not confirm that."""


class Inbox(Protocol):
    """Responses and the state on disk. Every method blocks. A change is durable when its method returns."""

    def lock(self) -> None:
        """Lock the inbox until the process ends. Raises Retry if another process has the lock."""

    def load_state(self) -> PollerState:
        """The state that was saved last, or the initial one. Raises Stop if it cannot be read."""

    def save_state(self, state: PollerState) -> None:
        """Save the state."""

    def require_free_space(self, largest_response: int) -> None:
        """Raises Retry if the disk is too full for another response. `largest_response` is in bytes."""

    def quarantine_partial(self) -> bool:
        """Quarantine all partial responses. Returns whether one of them has status 200 and content."""

    def unpublished(self) -> list[StoredResponse]:
        """The complete responses, oldest first."""

    def read(self, response: StoredResponse) -> str:
        """The body. Raises UnicodeDecodeError if it is not UTF-8."""

    def size(self, response: StoredResponse) -> int:
        """The size of the body in bytes."""

    def quarantine(self, response: StoredResponse) -> None:
        """Move a response to the folder for inspection."""

    def delete(self, response: StoredResponse) -> None:
        """Delete a response, if it still exists."""


class Topics(Protocol):
    """The poller's topics. Every method blocks and raises Retry if Kafka is unreachable."""

    def load_position(self) -> Position:
        """The position in the topics. Declares the dataset if its last declaration differs."""

    def publish_batch(self, placement: Placement, batch: Batch, findings: list[str]) -> None:
        """Publish a batch, from the batches missed before it to its manifest.

        Raises:
            Reject: a record would be larger than its topic allows. The dead letter is published.
        """

    def publish_refused(self, batch: BatchId, reason: str, response: StoredResponse) -> None:
        """Publish that an invalid response came where `batch` was expected."""

    def publish_missed(self, batch: BatchId, reason: str) -> None:
        """Publish that `batch` never arrived completely."""

    def publish_replies(self, replies: Sequence[Reply]) -> None:
        """Publish replies to commands."""
