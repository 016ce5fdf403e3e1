"""The journal on disk: a folder per process, with files of lines. A line is a request or a dead letter.

A file is deleted when all its lines are stored elsewhere.

A process that starts owns the first folder without an owner. While it runs, it takes over the files of other such
folders: their processes have ended, and may never come back. So workers and replicas can share a root folder.
"""

import asyncio
import errno
import fcntl
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import prometheus_client

from veleta.errors import Retry
from veleta.files import sync_folder
from veleta_inference.domain.journal_lines import Portion, read_lines, seal

SEGMENT_BYTES = 16 * 1024 * 1024
"""A file of this size is followed by the next one."""
READ_BYTES = 256 * 1024
"""At most this much is read at once, but at least one line. The database inserts it in a few milliseconds."""
MIN_FREE_BYTES = 1024 * 1024
"""With less free space than this, the disk counts as full."""
PENDING = prometheus_client.Gauge(
    "veleta_journal_bytes",
    "bytes of a journal that are not yet in MySQL, or Kafka",
    ["journal"],
    multiprocess_mode="livesum",
)


@dataclass
class _Segment:
    """A file of lines. Its first `size` bytes are durable."""

    path: Path
    file: int
    size: int


class JournalFolder:
    """`Journal` in a folder below `root`, for one event loop. `append` must not be called concurrently.

    With `sync`, appended lines survive a power failure (one fdatasync per call). Without it, they survive kill -9.
    """

    def __init__(self, root: Path, limit: int, *, sync: bool, min_free: int = MIN_FREE_BYTES) -> None:
        """At most `limit` bytes may wait for the database, and `min_free` bytes of the disk stay free.

        Raises OSError if `root` is not writable.
        """
        self._root = root
        self._limit = limit
        self._min_free = min_free
        self._sync = sync
        self._folder, self._lock = _own_folder(root)
        if sync:
            sync_folder(root)
            sync_folder(root.parent)
        self._segments = deque(_open_segment(path) for path in _files(self._folder))
        self._sync_thread = ThreadPoolExecutor(1, "journal")
        self._appending = False
        self._offset = 0
        self._metric = PENDING.labels(root.name)
        self._begin_segment()
        self._set_pending(sum(segment.size for segment in self._segments))

    def check(self, more: int = 0) -> None:
        """See `Journal.check`. `more` bytes are to be appended."""
        if self._pending + more > self._limit:
            waiting = f"{self._pending} bytes wait in the folder {self._root.name}"
            raise Retry("journal", f"{waiting}, the limit is {self._limit}")
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < self._min_free:
            raise Retry("journal", "its disk is full")

    async def append(self, lines: Sequence[bytes]) -> None:
        data = b"".join(map(seal, lines))
        segment = self._segments[-1]
        self.check(len(data))
        self._appending = True
        try:
            _write(segment.file, data, segment.size)
            if self._sync:
                await asyncio.get_running_loop().run_in_executor(self._sync_thread, os.fdatasync, segment.file)
        except OSError as error:
            os.ftruncate(segment.file, segment.size)
            raise Retry("journal", error.strerror) from error
        finally:
            self._appending = False
        segment.size += len(data)
        self._set_pending(self._pending + len(data))
        if segment.size >= SEGMENT_BYTES:
            self._begin_segment()

    def read(self) -> Portion:
        self._delete_finished()
        segment = self._segments[0]
        left = segment.size - self._offset
        data = os.pread(segment.file, min(left, READ_BYTES), self._offset)
        if b"\n" not in data:
            data = os.pread(segment.file, left, self._offset)
            return read_lines(data[: data.find(b"\n") + 1])
        return read_lines(data[: data.rfind(b"\n") + 1])

    def acknowledge(self, portion: Portion) -> None:
        self._offset += portion.size
        self._set_pending(self._pending - portion.size)
        self._delete_finished()
        current = self._segments[-1]
        if self._pending == 0 and not self._appending:
            os.ftruncate(current.file, 0)
            current.size = self._offset = 0

    def adopt(self) -> None:
        if self._pending or self._appending:
            return
        try:
            if segment := _adopt_file(self._root, self._next_path()):
                self._segments.append(segment)
                self._set_pending(segment.size)
                if self._sync:
                    sync_folder(self._folder)
        except OSError as error:
            raise Retry("journal", error.strerror) from error

    def close(self) -> None:
        self._sync_thread.shutdown()
        for file in (*(segment.file for segment in self._segments), self._lock):
            os.close(file)

    def _delete_finished(self) -> None:
        """Delete the files before the current one whose lines are all acknowledged."""
        while len(self._segments) > 1 and self._offset == self._segments[0].size:
            finished = self._segments.popleft()
            finished.path.unlink()
            os.close(finished.file)
            self._offset = 0

    def _begin_segment(self) -> None:
        path = self._next_path()
        self._segments.append(_Segment(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), 0))
        if self._sync:
            sync_folder(self._folder)

    def _next_path(self) -> Path:
        return self._folder / f"{int(self._segments[-1].path.stem) + 1 if self._segments else 0:012}.lines"

    def _set_pending(self, pending: int) -> None:
        self._pending = pending
        self._metric.set(pending)


def _write(file: int, data: bytes, position: int) -> None:
    """Write all of the data, or raise OSError."""
    if os.pwrite(file, data, position) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _own_folder(root: Path) -> tuple[Path, int]:
    """The first folder below `root` without an owner, and this process's lock on it."""
    for number in count():
        folder = root / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        if (lock := _try_lock(folder)) is not None:
            return folder, lock
    raise AssertionError("numbers never end")


def _try_lock(folder: Path) -> int | None:
    """A lock on a folder, None if another process has it. The lock ends with the process, even if it is killed."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _adopt_file(root: Path, target: Path) -> _Segment | None:
    """Move the oldest file of the first folder below `root` that has files and no owner. None if there is none."""
    for folder in sorted(root.iterdir()):
        if not _files(folder) or (lock := _try_lock(folder)) is None:
            continue
        try:
            for path in _files(folder)[:1]:
                return _move(_open_segment(path), target)
        finally:
            os.close(lock)
    return None


def _move(segment: _Segment, target: Path) -> _Segment:
    try:
        segment.path = segment.path.rename(target)
    except OSError:
        os.close(segment.file)
        raise
    return segment


def _files(folder: Path) -> list[Path]:
    """The files of lines in a folder, in order."""
    return sorted(folder.glob("*.lines"))


def _open_segment(path: Path) -> _Segment:
    """A file of a previous process. An incomplete line at its end, left by a kill, is not read."""
    return _Segment(path, os.open(path, os.O_RDWR), path.read_bytes().rfind(b"\n") + 1)
