"""The journal on disk: the next process reads what remains, and no process touches the folder of another."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veleta.errors import Retry
from veleta_inference.adapters import journal as journal_module
from veleta_inference.adapters.journal import JournalFolder

LIMIT = 10_000
LINES = [b'{"n": 1}', b'{"n": 2}', b'{"n": 3}']
Open = Callable[..., JournalFolder]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Open]:
    """Opens journals below one folder."""
    opened: list[JournalFolder] = []

    def opening(*, limit: int = LIMIT, sync: bool = True) -> JournalFolder:
        opened.append(JournalFolder(tmp_path / "journal", limit, sync=sync))
        return opened[-1]

    yield opening
    for each in opened:
        each.close()


def read_all(journal: JournalFolder) -> list[bytes]:
    """All lines, read and acknowledged."""
    all_lines: list[bytes] = []
    while lines := journal.read():
        journal.acknowledge(lines)
        all_lines += lines
    return all_lines


def files(root: Path) -> list[Path]:
    """The files of lines below a folder."""
    return list(root.rglob("*.lines"))


def size(root: Path) -> int:
    """The bytes of all files of lines below a folder."""
    return sum(path.stat().st_size for path in files(root))


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which has appended the line `theirs` in the same root folder, and still runs."""
    code = (
        "import asyncio, sys; from pathlib import Path; from veleta_inference.adapters.journal import JournalFolder\n"
        f"own = JournalFolder(Path({str(tmp_path / 'journal')!r}), {LIMIT}, sync=True)\n"
        "asyncio.run(own.append([b'theirs'])); print('appended', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"appended\n"
        yield other
        other.kill()


@pytest.mark.parametrize("sync", [True, False])
async def test_lines_are_read_in_the_order_of_their_appends(journal: Open, sync: bool) -> None:
    """The same lines are read until they are acknowledged."""
    own = journal(sync=sync)
    await own.append(LINES[:2])
    await own.append(LINES[2:])
    assert own.read() == own.read() == LINES
    own.acknowledge(LINES[:1])
    assert own.read() == LINES[1:]


async def test_acknowledged_lines_are_deleted_from_the_disk(journal: Open, tmp_path: Path) -> None:
    """The database has them."""
    own = journal()
    await own.append(LINES)
    assert read_all(own) == LINES
    assert size(tmp_path) == 0
    await own.append(LINES)
    assert own.read() == LINES


async def test_a_full_file_is_followed_by_the_next(
    journal: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is deleted when all its lines are acknowledged."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 20)
    own = journal()
    lines = [b'{"n": %d}' % n for n in range(50)]
    for line in lines:
        await own.append([line])
    assert len(files(tmp_path)) > 10
    assert read_all(own) == lines
    assert len(files(tmp_path)) == 1


async def test_a_new_file_is_synced_with_its_folder(
    journal: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise a power failure could lose the file. Without `sync`, nothing is synced."""
    synced = list[int]()
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 20)
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    for folder, sync in (("0", False), ("1", True)):
        own = journal(sync=sync)
        synced.clear()
        await own.append(LINES)
        assert synced == ([(tmp_path / "journal" / folder).stat().st_ino] if sync else [])


async def test_a_read_is_limited_but_returns_a_line(journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line above the limit is read alone."""
    monkeypatch.setattr(journal_module, "READ_BYTES", 20)
    own = journal()
    long = b"x" * 100
    await own.append([*LINES, long])
    assert own.read() == LINES[:2]
    own.acknowledge(LINES)
    assert own.read() == [long]


async def test_a_full_journal_refuses_more_lines(journal: Open) -> None:
    """It reports how many bytes are pending. It accepts lines again when there is room."""
    own = journal(limit=30)
    await own.append(LINES)
    with pytest.raises(Retry, match="journal: 27 bytes are not yet in MySQL, the limit is 30"):
        await own.append(LINES)
    assert read_all(own) == LINES
    await own.append(LINES)


@pytest.mark.failure("F53")
@pytest.mark.parametrize(
    ("call", "fault"), [("pwrite", lambda *_: 3), ("pwrite", None), ("fdatasync", None)], ids=["cut", "write", "sync"]
)
async def test_a_failed_append_leaves_nothing(
    journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: Callable[..., int] | None
) -> None:
    """Neither for this process nor, on disk, for the next one. The next append succeeds."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    own = journal()
    await own.append(LINES[:1])
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fault or full)
        with pytest.raises(Retry, match="journal: No space left on device"):
            await own.append(LINES)
    assert own.read() == LINES[:1]
    assert size(tmp_path) == len(LINES[0]) + 1
    await own.append(LINES[1:])
    assert own.read() == LINES


async def test_acknowledging_does_not_delete_lines_that_are_being_appended(
    journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is truncated only if no append is in progress."""
    own = journal()
    await own.append(LINES[:1])
    appending = asyncio.create_task(own.append(LINES[1:]))
    await asyncio.sleep(0)
    own.acknowledge(LINES[:1])
    await appending
    assert own.read() == LINES[1:]


@pytest.mark.failure("F50", "F129")
async def test_the_next_process_reads_the_remaining_lines(tmp_path: Path) -> None:
    """An incomplete line, left by a kill during a write, is cut off: its request got no response."""
    before = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await before.append(LINES)
    before.close()
    (left,) = files(tmp_path)
    with left.open("ab") as half:
        half.write(b'{"n": 4')
    after = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await after.append([b'{"n": 5}'])
    assert read_all(after) == [*LINES, b'{"n": 5}']
    after.close()


@pytest.mark.failure("F130")
async def test_each_process_has_a_folder_of_its_own(journal: Open, other_process: subprocess.Popen[bytes]) -> None:
    """No process reads the lines of a running one. The next process that starts reads those of one that died."""
    first = journal()
    await first.append([b"mine"])
    second = journal()
    assert (first.read(), second.read()) == ([b"mine"], [])
    other_process.kill()
    await asyncio.to_thread(other_process.wait)
    third = journal()
    assert (first.read(), second.read(), third.read()) == ([b"mine"], [], [b"theirs"])


async def test_empty_files_of_earlier_processes_do_no_harm(tmp_path: Path) -> None:
    """A process without pending lines leaves an empty file."""
    for n in range(3):
        own = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
        await own.append([b"%d" % n])
        assert read_all(own) == [b"%d" % n]
        own.close()
