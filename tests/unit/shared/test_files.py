"""Durable files."""

import os
from pathlib import Path
from typing import Any

import pytest

from veleta.files import sync_folder, write_synced


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    """Completely, and no draft is left."""
    path = tmp_path / "state.json"
    for content in (b"the first, which is longer", b"\x00\xff"):
        write_synced(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced in one step, after the new content is on the disk."""
    path = tmp_path / "state.json"
    write_synced(path, b"old")

    def full_disk(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("veleta.files.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_synced(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_draft_of_a_crashed_write_is_overwritten(tmp_path: Path) -> None:
    """Whatever it contains."""
    path = tmp_path / "state.json"
    (tmp_path / ".state.json.draft").write_bytes(b"half of something much longer")
    write_synced(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_content_and_name_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before its rename, the folder after it. Without either a crash could undo the write."""
    path = tmp_path / "state.json"
    synced: list[tuple[str, bool]] = []

    def record(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, path.exists()))

    monkeypatch.setattr("veleta.files.os.fsync", record)
    write_synced(path, b"new")
    assert synced == [(".state.json.draft", False), (tmp_path.name, True)]


def test_a_folder_that_cannot_be_synced_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No handle is left open."""
    handles: list[Any] = []

    def broken(handle: int) -> None:
        handles.append(handle)
        raise OSError("input/output error")

    monkeypatch.setattr("veleta.files.os.fsync", broken)
    with pytest.raises(OSError, match="input/output"):
        sync_folder(tmp_path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handles[0])
