"""The small disks of the tests."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.disk import CannotMount, SmallDisk, on_small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "part"
    (folder / "data").mkdir(parents=True)
    (folder / "data/file").write_text("kept")
    folder.chmod(0o700)
    try:
        with on_small_disk(folder, 2) as made:
            yield made
    except CannotMount as reason:
        pytest.skip(str(reason))


def test_a_folder_moves_to_the_disk_with_its_content(disk: SmallDisk) -> None:
    """Content and mode stay."""
    assert (disk.folder / "data/file").read_text() == "kept"
    assert disk.folder.stat().st_mode & 0o777 == 0o700


def test_a_full_disk_takes_no_byte_until_it_is_emptied(disk: SmallDisk) -> None:
    """What was stored stays. Afterwards a file fits again."""
    disk.fill()
    with pytest.raises(OSError, match="No space") as error:
        (disk.folder / "new").write_bytes(bytes(8192))
    assert error.value.errno == errno.ENOSPC
    assert (disk.folder / "data/file").read_text() == "kept"
    disk.empty()
    (disk.folder / "new").write_bytes(bytes(8192))


def test_an_empty_disk_can_be_full_too(disk: SmallDisk) -> None:
    """It holds no file, as an idle journal, and holds none afterwards."""
    shutil.rmtree(disk.folder / "data")
    disk.fill()
    with pytest.raises(OSError, match="No space"):
        (disk.folder / "new").write_bytes(bytes(1))
    (disk.folder / "new").unlink()
    disk.empty()
    assert list(disk.folder.iterdir()) == []
    with pytest.raises(OSError, match="No space"):
        (disk.folder / "new").write_bytes(bytes(3 << 20))
