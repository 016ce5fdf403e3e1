"""The journal on disk: a folder a process, in it files of lines, deleted when all their lines are in the database.

A process that starts takes the first folder whose owner is gone, and moves into it what others left behind.
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

SEGMENT_BYTES = 16 * 1024 * 1024
"""A file that has grown to this is followed by the next one."""
GROUP_BYTES = 256 * 1024
"""So much is read at once, and one line at least: what the database takes in a few milliseconds."""
FREE_BYTES = 1024 * 1024
"""With less than this free the disk counts as full."""
WAITING = prometheus_client.Gauge(
    "veleta_journal_bytes", "what is in the journal and not yet in MySQL", ["journal"], multiprocess_mode="livesum"
)


@dataclass
class _Segment:
    """A file of lines; `size` bytes of it are safe."""

    path: Path
    file: int
    size: int


class JournalFolder:
    """`Journal` in a folder below `root`, for one event loop. `keep` is called by one at a time.

    What is kept survives, with `sync`, a loss of power (one fdatasync for all lines that are kept together), without it
    kill -9 of the process.
    """

    def __init__(self, root: Path, limit: int, *, sync: bool) -> None:
        """`limit` is how many bytes may wait for the database. Raises OSError when `root` cannot be written."""
        self._limit = limit
        self._sync = sync
        self._folder, self._lock = _own_folder(root)
        _adopt(self._folder, root)
        self._segments = deque(_opened(path) for path in _files(self._folder))
        self._syncing = ThreadPoolExecutor(1, "journal")
        self._writing = False
        self._offset = 0
        self._metric = WAITING.labels(root.name)
        self._begin_segment()
        self._count(sum(segment.size for segment in self._segments))

    def check(self, more: int = 0) -> None:
        """See `Journal.check`; `more` bytes are to be kept."""
        if self._waiting + more > self._limit:
            raise Retry("journal", f"{self._waiting} bytes wait to be written to MySQL, and {self._limit} may")
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < FREE_BYTES:
            raise Retry("journal", "its disk is full")

    async def keep(self, lines: Sequence[bytes]) -> None:
        """See `Journal.keep`."""
        data = b"".join(line + b"\n" for line in lines)
        segment = self._segments[-1]
        self.check(len(data))
        self._writing = True
        try:
            _write(segment.file, data, segment.size)
            if self._sync:
                await asyncio.get_running_loop().run_in_executor(self._syncing, os.fdatasync, segment.file)
        except OSError as error:
            os.ftruncate(segment.file, segment.size)
            raise Retry("journal", error.strerror) from error
        finally:
            self._writing = False
        segment.size += len(data)
        self._count(self._waiting + len(data))
        if segment.size >= SEGMENT_BYTES:
            self._begin_segment()

    def read(self) -> list[bytes]:
        """See `Journal.read`."""
        self._drop_finished()
        segment = self._segments[0]
        left = segment.size - self._offset
        data = os.pread(segment.file, min(left, GROUP_BYTES), self._offset)
        if data and b"\n" not in data:
            data = os.pread(segment.file, left, self._offset)
            data = data[: data.index(b"\n") + 1]
        return data.split(b"\n")[:-1]

    def forget(self, lines: Sequence[bytes]) -> None:
        """See `Journal.forget`."""
        size = sum(len(line) + 1 for line in lines)
        self._offset += size
        self._count(self._waiting - size)
        self._drop_finished()
        current = self._segments[-1]
        if self._waiting == 0 and not self._writing:
            os.ftruncate(current.file, 0)
            current.size = self._offset = 0

    def close(self) -> None:
        """See `Journal.close`."""
        self._syncing.shutdown()
        for file in (*(segment.file for segment in self._segments), self._lock):
            os.close(file)

    def _drop_finished(self) -> None:
        """Delete the files before the current one whose lines are all forgotten."""
        while len(self._segments) > 1 and self._offset == self._segments[0].size:
            finished = self._segments.popleft()
            finished.path.unlink()
            os.close(finished.file)
            self._offset = 0

    def _begin_segment(self) -> None:
        path = self._folder / _name(_number(self._segments[-1].path) + 1 if self._segments else 0)
        self._segments.append(_Segment(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), 0))
        if self._sync:
            _sync_folder(self._folder)

    def _count(self, waiting: int) -> None:
        self._waiting = waiting
        self._metric.set(waiting)


def _write(file: int, data: bytes, place: int) -> None:
    """Write all of it, or raise OSError."""
    if os.pwrite(file, data, place) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _own_folder(root: Path) -> tuple[Path, int]:
    """The first folder below `root` that nobody holds, and the lock that this process holds on it from now on."""
    for number in count():
        folder = root / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        if (lock := _locked(folder)) is not None:
            return folder, lock
    raise AssertionError("numbers never end")


def _locked(folder: Path) -> int | None:
    """A lock on a folder, which ends with the process however that ends; None while another process holds it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _adopt(own: Path, root: Path) -> None:
    """Move the files of folders whose owner is gone behind one's own."""
    for other in sorted(path for path in root.iterdir() if path.is_dir() and path != own):
        if (lock := _locked(other)) is None:
            continue
        for path in _files(other):
            mine = _files(own)
            path.rename(own / _name(_number(mine[-1]) + 1 if mine else 0))
        _sync_folder(own)
        os.close(lock)


def _files(folder: Path) -> list[Path]:
    """The files of lines in a folder, in their order."""
    return sorted(folder.glob("*.lines"))


def _name(number: int) -> str:
    return f"{number:012}.lines"


def _number(path: Path) -> int:
    return int(path.stem)


def _opened(path: Path) -> _Segment:
    """A file that was left behind, without the half line that a kill may have left at its end."""
    data = path.read_bytes()
    file, size = os.open(path, os.O_RDWR), data.rfind(b"\n") + 1
    os.ftruncate(file, size)
    return _Segment(path, file, size)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
