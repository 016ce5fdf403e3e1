"""Small disks for tests of a full disk."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRIES = 100
"""Tries to fill a disk while a process writes to it."""
FILLER = "filler"
"""A file of one page on a full disk that had no other: a tmpfs of size 0 would have no limit."""


class CannotMount(Exception):
    """This user may not mount a file system here. Root in a container may not either."""


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A tmpfs of this size at the new folder `folder`, while the block runs. Raises CannotMount."""
    folder.mkdir()
    _mount(folder, kilobytes << 10)
    try:
        yield folder
    finally:
        _run("umount", str(folder))


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs that can be full. No process may use its folder when it is mounted or unmounted."""

    folder: Path
    megabytes: int

    def fill(self) -> None:
        """Leave no free byte, until `empty`. What is deleted meanwhile becomes free. Needs no memory."""
        if not shutil.disk_usage(self.folder).used:
            (self.folder / FILLER).write_bytes(b"0")
        for _ in range(TRIES):
            if self._resize(shutil.disk_usage(self.folder).used):
                return
        raise AssertionError(f"{self.folder} grows too fast to be filled")

    def empty(self) -> None:
        """Give the disk its size again."""
        assert self._resize(self.megabytes << 20), f"{self.folder} cannot be emptied"
        (self.folder / FILLER).unlink(missing_ok=True)

    def _resize(self, size: int) -> bool:
        """Whether it has this size in bytes now: not if it holds more."""
        return _mount_command("-o", f"remount,size={size}", str(self.folder)).returncode == 0


@contextmanager
def on_small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """The folder of a stopped part is moved to a tmpfs, which is unmounted at the end. Its content is then lost.

    Raises CannotMount.
    """
    before = folder.with_name(f"{folder.name}.before")
    folder.rename(before)
    folder.mkdir()
    try:
        _mount(folder, megabytes << 20)
    except CannotMount:
        folder.rmdir()
        before.rename(folder)
        raise
    try:
        _run("cp", "--archive", f"{before}/.", str(folder))
        shutil.rmtree(before)
        yield SmallDisk(folder, megabytes)
    finally:
        _run("umount", str(folder))


def _mount(folder: Path, size: int) -> None:
    done = _mount_command("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if done.returncode:
        raise CannotMount(f"only root may mount a tmpfs: {done.stderr.splitlines()[0]}")


def _mount_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
