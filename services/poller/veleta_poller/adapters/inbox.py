"""The inbox: answers on disk, from the moment they arrive until they are published.

<time>-<status>.part    is arriving
<time>-<status>.body    arrived whole and waits to be published: the file is the intake
kept/                   what never arrived whole, and what was refused
position.json           where the poller stands
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veleta.clock import Clock
from veleta.errors import Retry, Stop
from veleta.faults import fault_point
from veleta.files import sync_folder, write_synced
from veleta_poller.domain.answers import HTTP_OK
from veleta_poller.domain.state import Body, State

LEAST_ROOM = 512 * 1024 * 1024
"""Bytes that must be free before a GET."""
BODIES_OF_ROOM = 3
"""So many of the largest body seen must fit."""


class Inbox:
    """`handlers.Inbox` in one folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Raises Stop when the folder cannot be made."""
        self._folder = folder
        self._kept = folder / "kept"
        self._state = folder / "position.json"
        self._clock = clock
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(f"the inbox {folder} cannot be made: {error.strerror}") from error

    def lock(self) -> None:
        """See `handlers.Inbox.lock`."""
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Retry("inbox", "another poller holds it; this one stands by") from error

    def recall(self) -> State:
        """See `handlers.Inbox.recall`."""
        try:
            return State.from_json(self._state.read_bytes()) if self._state.exists() else State()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Stop(f"cannot read {self._state}: {error}") from error

    def remember(self, state: State) -> None:
        """See `handlers.Inbox.remember`."""
        write_synced(self._state, state.to_json())

    def need_room(self, largest: int) -> None:
        """See `handlers.Inbox.need_room`."""
        needed = max(LEAST_ROOM, BODIES_OF_ROOM * largest)
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise Retry(
                "disk", f"the inbox has {free >> 20} MiB of room, {needed >> 20} MiB are needed to take a batch"
            )

    @contextmanager
    def part(self, status: int) -> Iterator["Part"]:
        """A new answer that begins to arrive; kept as it is when the block ends before `Part.whole`."""
        name = f"{self._clock():%Y%m%dT%H%M%S.%fZ}-{status}"
        part = Part(self._folder / f"{name}.part")
        try:
            yield part
        finally:
            part.close()

    def keep_parts(self) -> bool:
        """See `handlers.Inbox.keep_parts`."""
        parts = self._named("*.part")
        torn = any(part.status == HTTP_OK and self.size(part) > 0 for part in parts)
        for part in parts:
            self.keep(part)
        return torn

    def waiting(self) -> list[Body]:
        """See `handlers.Inbox.waiting`."""
        return self._named("*.body")

    def text(self, body: Body) -> str:
        """See `handlers.Inbox.text`."""
        return (self._folder / body.name).read_text(encoding="utf-8-sig")

    def size(self, body: Body) -> int:
        """See `handlers.Inbox.size`."""
        return (self._folder / body.name).stat().st_size

    def keep(self, body: Body) -> None:
        """See `handlers.Inbox.keep`."""
        (self._folder / body.name).rename(self._kept / body.name)
        sync_folder(self._kept)
        sync_folder(self._folder)

    def discard(self, body: Body) -> None:
        """See `handlers.Inbox.discard`."""
        (self._folder / body.name).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _named(self, pattern: str) -> list[Body]:
        return [Body(path.name) for path in sorted(self._folder.glob(pattern))]


class Part:
    """An answer that is arriving."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add what came."""
        self._file.write(piece)
        self.size += len(piece)

    def whole(self) -> Body:
        """It arrived whole: from when this returns, it is not lost."""
        self._file.flush()
        os.fsync(self._file.fileno())
        fault_point("poller.synced")
        whole = self._path.rename(self._path.with_suffix(".body"))
        sync_folder(whole.parent)
        return Body(whole.name)

    def close(self) -> None:
        """No more comes."""
        self._file.close()
