"""The journal on disk: the next process reads what remains, and no process touches the folder of another."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from veleta.errors import Retry
from veleta_inference.adapters import journal as journal_module
from veleta_inference.adapters.journal import MIN_FREE_BYTES, JournalFolder
from veleta_inference.domain.journal_lines import Portion

LIMIT = 10_000
OVERHEAD = 10
"""The bytes of a line beside its text: the checksum, a space and the line end."""
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
    while (portion := journal.read()).size:
        journal.acknowledge(portion)
        all_lines += portion.lines
    return all_lines


def files(root: Path) -> list[Path]:
    """The files of lines below a folder."""
    return list(root.rglob("*.lines"))


def size(root: Path) -> int:
    """The bytes of all files of lines below a folder."""
    return sum(path.stat().st_size for path in files(root))


def open_files(root: Path) -> int:
    """How many files below a folder this process has open."""
    return sum(os.path.realpath(opened).startswith(str(root)) for opened in Path("/proc/self/fd").iterdir())


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
    first = own.read()
    await own.append(LINES[2:])
    assert own.read() == own.read() == Portion(3 * (len(LINES[0]) + OVERHEAD), LINES)
    own.acknowledge(first)
    assert own.read().lines == LINES[2:]


async def test_acknowledged_lines_are_deleted_from_the_disk(journal: Open, tmp_path: Path) -> None:
    """The database has them."""
    own = journal()
    await own.append(LINES)
    assert read_all(own) == LINES
    assert size(tmp_path) == 0
    await own.append(LINES)
    assert own.read().lines == LINES


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
    monkeypatch.setattr(journal_module, "READ_BYTES", 40)
    own = journal()
    long = b"x" * 100
    await own.append([*LINES[:2], long, LINES[2]])
    for lines in (LINES[:2], [long], [LINES[2]]):
        portion = own.read()
        assert portion.lines == lines
        own.acknowledge(portion)


async def test_a_full_journal_refuses_more_lines(journal: Open) -> None:
    """It reports how many bytes are pending. It accepts lines again when there is room."""
    own = journal(limit=60)
    await own.append(LINES)
    with pytest.raises(Retry, match="journal: 54 bytes wait in the folder journal, the limit is 60"):
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
    assert own.read().lines == LINES[:1]
    assert size(tmp_path) == len(LINES[0]) + OVERHEAD
    await own.append(LINES[1:])
    assert own.read().lines == LINES


@pytest.mark.failure("F53", "F285")
async def test_a_nearly_full_disk_has_room_for_dead_letters(
    journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that may use the last bytes accepts lines when the others do not: without it they never get empty."""
    requests, dead = journal(), JournalFolder(tmp_path / "dead", LIMIT, sync=True, min_free=0)
    disk = os.statvfs(tmp_path)
    nearly_full = SimpleNamespace(f_bavail=MIN_FREE_BYTES // disk.f_frsize - 1, f_frsize=disk.f_frsize)
    monkeypatch.setattr(os, "statvfs", lambda _path: nearly_full)
    with pytest.raises(Retry, match="journal: its disk is full"):
        requests.check()
    with pytest.raises(Retry, match="journal: its disk is full"):
        await requests.append(LINES)
    await dead.append(LINES)
    assert read_all(dead) == LINES
    dead.close()


async def test_acknowledging_does_not_delete_lines_that_are_being_appended(
    journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is truncated only if no append is in progress."""
    own = journal()
    await own.append(LINES[:1])
    portion = own.read()
    appending = asyncio.create_task(own.append(LINES[1:]))
    await asyncio.sleep(0)
    own.acknowledge(portion)
    await appending
    assert own.read().lines == LINES[1:]


@pytest.mark.failure("F50", "F129")
@pytest.mark.parametrize("half", [b'c0ffee00 {"n": 4', b'{"n": 4', b"\0" * 5_000, b'c0ffee00 {"n\0\0\0'])
async def test_the_next_process_reads_the_remaining_lines(tmp_path: Path, half: bytes) -> None:
    """An incomplete line, left by a kill or a power failure during a write, is left out: it got no response."""
    before = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await before.append(LINES)
    before.close()
    (left,) = files(tmp_path)
    with left.open("ab") as file:
        file.write(half)
    after = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await after.append([b'{"n": 5}'])
    assert read_all(after) == [*LINES, b'{"n": 5}']
    assert size(tmp_path) == 0
    after.close()


@pytest.mark.failure("F147")
@pytest.mark.parametrize(
    ("first", "count", "content"),
    [
        (30, 1, b"X"), (20, 1, b"X"), (18, 4, b"\0\0\0\0"), (18, 18, b"\0" * 18), (18, 17, b"\0" * 17),
        (26, 9, b"\0" * 9),
    ],
    ids=["a value", "the checksum", "its beginning", "a whole line", "all but its end", "its end"],
)  # fmt: skip
async def test_a_damaged_line_is_set_aside(tmp_path: Path, first: int, count: int, content: bytes) -> None:
    """The lines around it are read. What was found in its place is returned."""
    before = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await before.append(LINES)
    before.close()
    (left,) = files(tmp_path)
    data = left.read_bytes()
    left.write_bytes(data[:first] + content + data[first + count :])
    after = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    portion = after.read()
    assert portion.lines == [LINES[0], LINES[2]]
    assert len(portion.damaged) == 1
    after.acknowledge(portion)
    assert after.read().size == size(tmp_path) == 0
    after.close()


async def test_a_page_of_zeros_hides_no_line_after_it(
    journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is: only the lines whose place it took are lost."""
    monkeypatch.setattr(journal_module, "READ_BYTES", 1_000)
    before = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    lines = [b'{"n": %d}' % n for n in range(10, 99)]
    await before.append(lines)
    before.close()
    (left,) = files(tmp_path)
    data = left.read_bytes()
    left.write_bytes(data[:190] + b"\0" * 4096 + data[380:])
    after = journal()
    assert read_all(after) == lines[:10] + lines[20:]


@pytest.mark.failure("F147")
async def test_lines_without_a_checksum_are_read(journal: Open, tmp_path: Path) -> None:
    """A version before this one wrote them. One that is no JSON is damaged."""
    folder = tmp_path / "journal/0"
    folder.mkdir(parents=True)
    (folder / "000000000000.lines").write_bytes(b'{"n": 1}\n{"n": \n{"n": 3}\n')
    portion = journal().read()
    assert (portion.lines, portion.damaged) == ([LINES[0], LINES[2]], [b'{"n": '])


async def test_adopted_files_are_durable_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is synced after the rename: otherwise a power failure could lose the file from both folders."""
    own = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    gone = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await gone.append(LINES)
    gone.close()
    number = (tmp_path / "journal/0").stat().st_ino
    done: list[str] = []
    rename, fsync = Path.rename, os.fsync

    def recording_rename(path: Path, target: Path) -> Path:
        done.append(f"rename to {target.parent.name}")
        return rename(path, target)

    def recording_fsync(descriptor: int) -> None:
        done.append("sync 0" if os.fstat(descriptor).st_ino == number else "sync")
        fsync(descriptor)

    monkeypatch.setattr(Path, "rename", recording_rename)
    monkeypatch.setattr(os, "fsync", recording_fsync)
    own.adopt()
    assert done == ["rename to 0", "sync 0"]
    assert read_all(own) == LINES
    own.close()


async def test_a_new_folder_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folders above it, before the first line is appended: a power failure must not lose it."""
    synced = set[int]()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    own = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "journal", tmp_path / "journal/0")} <= synced
    own.close()


@pytest.mark.failure("F130")
async def test_each_process_has_a_folder_of_its_own(journal: Open, other_process: subprocess.Popen[bytes]) -> None:
    """No process reads the lines of a running one. Any other process takes over those of one that died."""
    first = journal()
    await first.append([b"mine"])
    second = journal()
    second.adopt()
    assert (first.read().lines, second.read().lines) == ([b"mine"], [])
    other_process.kill()
    await asyncio.to_thread(other_process.wait)
    second.adopt()
    assert [each.read().lines for each in (first, second)] == [[b"mine"], [b"theirs"]]


@pytest.mark.failure("F130")
async def test_files_are_adopted_one_at_a_time(journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each when the lines before are acknowledged, so that the limit holds. Several processes share them."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 20)
    gone = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    first, second = journal(limit=60), journal(limit=60)
    lines = [b'{"n": %d, "long": true}' % n for n in range(5)]
    for line in lines:
        await gone.append([line])
    gone.close()
    for each in (first, first, second):
        each.adopt()
    assert [each.read().lines for each in (first, second)] == [[lines[0]], [lines[1]]]
    await first.append(LINES[:1])
    assert read_all(first) == [lines[0], LINES[0]]
    left = []
    for _ in range(4):
        first.adopt()
        left += read_all(first)
    assert left == lines[2:]
    assert read_all(second) == lines[1:2]
    assert size(tmp_path) == 0


@pytest.mark.failure("F130")
async def test_half_a_line_of_an_adopted_file_is_overwritten(journal: Open, tmp_path: Path) -> None:
    """Its request was never answered. Lines that are appended follow the last whole line, also after the next kill."""
    own, gone = (JournalFolder(tmp_path / "journal", LIMIT, sync=True) for _ in range(2))
    await gone.append(LINES[:1])
    gone.close()
    (left,) = (tmp_path / "journal/1").glob("*.lines")
    with left.open("ab") as file:
        file.write(b'c0ffee00 {"n": 4, "half a line that is longer than the next": ')
    own.adopt()
    await own.append(LINES[1:])
    assert own.read().lines == LINES
    own.close()
    assert read_all(journal()) == LINES


async def test_nothing_is_adopted_during_an_append(journal: Open, tmp_path: Path) -> None:
    """The lines would be counted for the adopted file."""
    own, gone = journal(), JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await gone.append(LINES[:1])
    gone.close()
    appending = asyncio.create_task(own.append(LINES[1:]))
    await asyncio.sleep(0)
    own.adopt()
    await appending
    assert read_all(own) == LINES[1:]
    own.adopt()
    assert read_all(own) == LINES[:1]


async def test_a_file_that_cannot_be_moved_stays(
    journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it can. The error is an outage of the journal."""
    own, gone = journal(), JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await gone.append(LINES)
    gone.close()

    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = open_files(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", full)
        with pytest.raises(Retry, match="journal: No space left on device"):
            own.adopt()
    assert open_files(tmp_path) == opened
    assert own.read().size == 0
    own.adopt()
    assert read_all(own) == LINES


async def test_empty_files_of_earlier_processes_do_no_harm(tmp_path: Path) -> None:
    """A process without pending lines leaves an empty file."""
    for n in range(3):
        own = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
        await own.append([b"%d" % n])
        assert read_all(own) == [b"%d" % n]
        own.close()
