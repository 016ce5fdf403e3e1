"""Files that survive a crash: what was written here is on the disk when the call returns."""

import os
from pathlib import Path


def write_synced(path: Path, content: bytes) -> None:
    """Put a file's new content in place at once: after a crash there is the old or the new, never a part."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename is not, until its folder is synced."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
