"""The cache of cleaned batches on disk."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.domain.clean_rows import CleanBatch

PLENTY = 2**30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "batches"


def batch(number: int, rows: int = 50) -> CleanBatch:
    """A batch with rejected rows."""
    listings = api_rows(0, rows, number)
    return CleanBatch.of_rows(DATASET, [[*listings, {**listings[0], "price": None}]])


def test_a_batch_is_loaded_as_it_was_stored(folder: Path) -> None:
    """Its columns and its counts, also by another process. Other keys have none."""
    BatchFiles(folder, PLENTY).store("one", batch(1))
    found = BatchFiles(folder, PLENTY).load("one")
    assert found is not None
    assert found.table.equals(batch(1).table)
    assert (found.received, found.rejected) == (51, {"price: no value": 1})
    assert BatchFiles(folder, PLENTY).load("two") is None
    assert [path.name for path in folder.iterdir()] == ["one"]


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _content: b"",
    "short": lambda content: content[:-1],
    "longer": lambda content: content + b"0",
    "another digest": lambda content: b"0" * 32 + content[32:],
    "another byte": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
    "no Arrow": lambda _content: b"not a batch at all" * 10,
}


@pytest.mark.failure("F438")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_no_batch(damage: str, folder: Path) -> None:
    """The next one to read the batch replaces it."""
    files = BatchFiles(folder, PLENTY)
    files.store("one", batch(1))
    path = folder / "one"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert files.load("one") is None
    files.store("one", batch(1))
    assert files.load("one") is not None


@pytest.mark.failure("F440")
def test_the_oldest_used_batches_are_deleted(folder: Path) -> None:
    """So that the folder stays within its bound, with what a killed process left behind."""
    BatchFiles(folder, PLENTY).store("one", batch(1))
    size = (folder / "one").stat().st_size
    files = BatchFiles(folder, 3 * size + size // 2)
    (folder / "left").write_bytes(b"0" * size)
    for number, name in enumerate(("left", "one", "two", "three")):
        if name in ("two", "three"):
            files.store(name, batch(1))
        os.utime(folder / name, (number, number))
    assert files.load("one") is not None, "it is used now"
    files.store("four", batch(1))
    assert {path.name for path in folder.iterdir()} == {"one", "three", "four"}


@pytest.mark.failure("F440")
@pytest.mark.parametrize("max_bytes", [0, 1_000])
def test_a_batch_beyond_the_bound_is_not_stored(max_bytes: int, folder: Path) -> None:
    """0 switches the cache off, and nothing else is deleted for it."""
    BatchFiles(folder, PLENTY).store("one", batch(1))
    files = BatchFiles(folder, max_bytes)
    files.store("two", batch(2))
    assert files.load("two") is None
    assert files.load("one") is not None


@pytest.mark.failure("F440")
def test_a_folder_that_cannot_be_written_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full, or a file is in its place: the training has its rows from Kafka. No part of a file stays."""
    files = BatchFiles(folder, PLENTY)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _full_disk)
        files.store("one", batch(1))
    assert list(folder.iterdir()) == []
    folder.rmdir()
    folder.write_text("a file")
    files.store("one", batch(1))
    assert files.load("one") is None


def test_several_processes_may_store_the_same_batch(folder: Path) -> None:
    """And delete the oldest ones meanwhile. Each load finds a whole batch, or none."""
    BatchFiles(folder, PLENTY).store("0", batch(0, 10))
    bound = 3 * (folder / "0").stat().st_size
    batches, found = [batch(number, 10) for number in range(4)], list[bool]()

    def work() -> None:
        files = BatchFiles(folder, bound)
        for turn in range(40):
            number = turn % len(batches)
            files.store(str(number), batches[number])
            loaded = files.load(str(number))
            found.append(loaded is None or loaded.table.equals(batches[number].table))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 160
    assert sum(path.stat().st_size for path in folder.iterdir()) <= bound


def _full_disk(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")
