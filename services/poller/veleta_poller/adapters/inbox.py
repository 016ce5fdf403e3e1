"""The inbox: responses on disk, from the first byte until they are published.

<time>-<status>.part    is being received
<time>-<status>.body    is complete and not yet published
kept/                   the quarantine: the newest interrupted and refused responses
position.json           the poller's state
"""

import fcntl
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path

from pydantic import TypeAdapter

from veleta.clock import Clock
from veleta.errors import Retry, Stop
from veleta.faults import fault_point
from veleta.files import sync_folder, write_synced
from veleta_poller.adapters.disks import MIN_FREE_BYTES, Disks
from veleta_poller.domain.state import PollerState
from veleta_poller.ports import StoredResponse

BEGINNING_BYTES = 1_000
FREE_RESPONSES = 3
"""The free space must hold this many responses of the largest size so far."""
STATE_JSON = TypeAdapter(PollerState)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """A disk that is full, broken or read-only is an outage like any other. A file that is gone does not come back."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Retry("disk", f"the poller cannot use its inbox: {error}") from error


class Inbox:
    """`ports.Inbox` in one folder."""

    def __init__(self, folder: Path, clock: Clock, max_kept: float = math.inf, disks: Disks | None = None) -> None:
        """`max_kept` limits the bytes of the quarantine; `disks` are those of the other parts.

        Raises Stop if the folder cannot be created.
        """
        self._disks = disks or Disks({})
        self._folder = folder
        self._quarantine = folder / "kept"
        self._state = folder / "position.json"
        self._clock = clock
        self._max_kept = max_kept
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(f"cannot create the inbox {folder}: {error.strerror}") from error

    @_disk_errors()
    def lock(self) -> None:
        """Lock the inbox until the process ends. Raises Retry if another process has the lock."""
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Retry("inbox", "another poller has the lock; this one waits for it") from error

    def load_state(self) -> PollerState:
        try:
            return STATE_JSON.validate_json(self._state.read_bytes()) if self._state.exists() else PollerState()
        except (OSError, ValueError) as error:
            raise Stop(f"cannot read {self._state}: {error}") from error

    @_disk_errors()
    def save_state(self, state: PollerState) -> None:
        write_synced(self._state, STATE_JSON.dump_json(state, by_alias=True))

    @_disk_errors()
    def require_free_space(self, largest_response: int) -> None:
        required = max(MIN_FREE_BYTES, FREE_RESPONSES * largest_response)
        free = shutil.disk_usage(self._folder).free
        if free < required:
            raise Retry("disk", f"a request requires {required >> 20} MiB in the inbox, {free >> 20} MiB are free")
        self._disks.require_free_space(required)
        write_synced(self._folder / ".writable", b"")

    @contextmanager
    def receive(self, status: int) -> Iterator["PartialResponse"]:
        """A new response. It stays a partial one if the block ends before `PartialResponse.complete`."""
        partial = PartialResponse(self._folder / f"{self._clock():%Y%m%dT%H%M%S.%fZ}-{status}.part")
        try:
            yield partial
        finally:
            partial.close()

    def interrupted(self) -> list[StoredResponse]:
        return self._responses("*.part")

    def unpublished(self) -> list[StoredResponse]:
        return self._responses("*.body")

    @_disk_errors()
    def read(self, response: StoredResponse) -> bytes:
        return (self._folder / response.name).read_bytes()

    @_disk_errors()
    def beginning(self, response: StoredResponse) -> bytes:
        with (self._folder / response.name).open("rb") as file:
            return file.read(BEGINNING_BYTES)

    @_disk_errors()
    def quarantine(self, response: StoredResponse) -> None:
        with suppress(FileNotFoundError):  # a sync failed after the move
            (self._folder / response.name).rename(self._quarantine / response.name)
        self._delete_oldest_kept()
        sync_folder(self._quarantine)
        sync_folder(self._folder)

    def _delete_oldest_kept(self) -> None:
        """The newest response stays, whatever its size. The names begin with the time."""
        kept = sorted(self._quarantine.iterdir(), reverse=True)
        sizes = accumulate(path.stat().st_size for path in kept)
        for path, size in list(zip(kept, sizes, strict=True))[1:]:
            if size > self._max_kept:
                path.unlink()

    @_disk_errors()
    def delete(self, response: StoredResponse) -> None:
        (self._folder / response.name).unlink(missing_ok=True)
        sync_folder(self._folder)

    @_disk_errors()
    def _responses(self, pattern: str) -> list[StoredResponse]:
        return [StoredResponse(path.name, path.stat().st_size) for path in sorted(self._folder.glob(pattern))]


class PartialResponse:
    """A response that is being received; `size` is in bytes."""

    @_disk_errors()
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self.size = 0

    @_disk_errors()
    def write(self, chunk: bytes) -> None:
        """Append received bytes."""
        self._file.write(chunk)
        self.size += len(chunk)

    @_disk_errors()
    def complete(self) -> StoredResponse:
        """All bytes have been received. The response is durable when this returns.

        The rename comes first: a process that is killed while it syncs has received the response. After a loss of power
        the file may be incomplete; then it is refused.
        """
        self._file.flush()
        complete = self._path.rename(self._path.with_suffix(".body"))
        fault_point("poller.renamed")
        os.fsync(self._file.fileno())
        sync_folder(complete.parent)
        return StoredResponse(complete.name, self.size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
