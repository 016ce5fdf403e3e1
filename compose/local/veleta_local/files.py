"""Files and folders that are complete or missing, also after a kill in the middle of a write."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from veleta_local.errors import LocalError

_QUOTE = "'\"'\"'"  # a single quote inside single quotes, in sh


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and rename it into place. Passwords are written with this."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def shell_lines(values: Mapping[str, str]) -> str:
    """KEY='value' lines that sh can source, with any characters in the values."""
    return "".join(f"""{name}='{value.replace("'", _QUOTE)}'\n""" for name, value in values.items())


def export_lines(values: Mapping[str, str]) -> str:
    """As `shell_lines`, and the programs that the shell starts get the variables too."""
    return "".join(f"export {shell_lines({name: value})}" for name, value in values.items())


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """An empty folder that is renamed to `target` after the block. What an interrupted block left is deleted."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    fresh.rename(target)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a file lock: one process at a time. The kernel releases it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LocalError(f"another make works on {path.parent}: wait until it has ended") from None
        yield


def private_folder(path: Path) -> None:
    """Create a folder below the shared /tmp. Raises LocalError if another user owns it or can enter it."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if not private or status.st_uid != os.getuid():
        raise LocalError(f"{path} is not a private folder of this user: delete it and start again")


def disk_usage(folder: Path) -> int:
    """Bytes that the files of a folder occupy on disk. Files that are deleted meanwhile count as 0."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_blocks * 512
    return size
