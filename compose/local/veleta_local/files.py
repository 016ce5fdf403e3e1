"""Files and folders that are either whole or not there, also after a kill in the middle."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from veleta_local.errors import LocalError

_QUOTE = "'\"'\"'"  # how sh writes a single quote between single quotes


def write_private(path: Path, text: str) -> None:
    """Renamed into place, readable by its owner alone: passwords go this way."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def shell_lines(values: Mapping[str, str]) -> str:
    """KEY='value' lines that sh can source, whatever the values hold."""
    return "".join(f"""{name}='{value.replace("'", _QUOTE)}'\n""" for name, value in values.items())


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends well; the rest of an interrupted try goes."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    fresh.rename(target)


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """One process at a time; the kernel frees the lock when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LocalError(f"another make is at work on {path.parent}: wait until it has ended") from None
        yield


def private_folder(path: Path) -> None:
    """A folder below the shared /tmp that nobody else could have made or can enter."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    closed = stat.S_ISDIR(found.st_mode) and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if not closed or found.st_uid != os.getuid():
        raise LocalError(f"{path} is not a private folder of this user: remove it and start again")
