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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import orjson

from veleta.clock import Clock
from veleta.errors import Retry, Stop
from veleta.files import sync_folder, write_synced
from veleta_poller.domain.answers import HTTP_OK
from veleta_poller.domain.sequence import Position

LEAST_ROOM = 512 * 1024 * 1024
"""Bytes that must be free before a GET."""
BODIES_OF_ROOM = 3
"""So many of the largest body seen must fit."""


@dataclass(frozen=True)
class State:
    """What the poller must not forget.

    `restart_of` is the epoch after which the API was told to begin a new one; `torn`: since the last batch a part of
    an answer came; `notes` are findings that the next manifest is to carry; `largest` is the largest body seen, bytes.
    """

    position: Position = field(default_factory=Position)
    restart_of: int | None = None
    torn: bool = False
    notes: tuple[str, ...] = ()
    largest: int = 0

    @property
    def restarting(self) -> bool:
        """Whether a restart was announced and not yet confirmed by a batch of the new epoch."""
        return self.restart_of == self.position.epoch

    @property
    def due(self) -> tuple[int, int]:
        """Epoch and number of the batch that is expected next."""
        return (self.position.epoch + 1, 0) if self.restarting else self.position.due

    def to_json(self) -> bytes:
        """The state as it lies on the disk."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The state in a file. Raises ValueError, KeyError or TypeError when it holds none."""
        kept = orjson.loads(content)
        return cls(**{**kept, "position": Position(**kept["position"]), "notes": tuple(kept["notes"])})


@dataclass(frozen=True)
class Body:
    """An answer's file."""

    path: Path

    @property
    def status(self) -> int:
        """The HTTP status it came with."""
        return int(self.path.stem.rpartition("-")[2])

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    def text(self) -> str:
        """The whole body. Raises UnicodeDecodeError when it is no UTF-8."""
        return self.path.read_text(encoding="utf-8-sig")


class Inbox:
    """One folder. Every method that changes it returns when the change is durable; all of them block."""

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
        """Hold the inbox until the process ends, whatever ends it.

        Raises:
            Retry: another process holds it.
        """
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Retry("inbox", "another poller holds it; this one stands by") from error

    def recall(self) -> State:
        """The state as it was kept. Raises Stop when the file cannot be read."""
        try:
            return State.from_json(self._state.read_bytes()) if self._state.exists() else State()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Stop(f"cannot read {self._state}: {error}") from error

    def remember(self, state: State) -> None:
        """Keep the state."""
        write_synced(self._state, state.to_json())

    def need_room(self, largest: int) -> None:
        """Raise Retry when the disk has no room for another body; `largest` is the largest seen, in bytes."""
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
        """Move what never arrived whole to kept/: whether one of them began as a good answer."""
        parts = [Body(path) for path in sorted(self._folder.glob("*.part"))]
        torn = any(part.status == HTTP_OK and part.size > 0 for part in parts)
        for part in parts:
            self.keep(part)
        return torn

    def waiting(self) -> list[Body]:
        """The answers that wait to be published, oldest first."""
        return [Body(path) for path in sorted(self._folder.glob("*.body"))]

    def keep(self, body: Body) -> None:
        """Move an answer to kept/."""
        body.path.rename(self._kept / body.path.name)
        sync_folder(self._kept)
        sync_folder(self._folder)

    def discard(self, body: Body) -> None:
        """Forget an answer; harmless when it is no longer there."""
        body.path.unlink(missing_ok=True)
        sync_folder(self._folder)


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
        body = Body(self._path.rename(self._path.with_suffix(".body")))
        sync_folder(self._path.parent)
        return body

    def close(self) -> None:
        """No more comes."""
        self._file.close()
