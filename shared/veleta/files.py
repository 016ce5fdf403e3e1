"""Durable files: the content is on the disk when the call returns, so it survives a crash."""

import os
from pathlib import Path


def write_synced(path: Path, content: bytes) -> None:
    """Replace a file atomically: after a crash it has the old or the new content, never a part."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable: they are not until the folder is synced."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
