"""The journal on disk: what is kept is read again by whoever comes next, and nobody else's folder is touched."""

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


def emptied(journal: JournalFolder) -> list[bytes]:
    """All lines, read and forgotten group by group."""
    found: list[bytes] = []
    while lines := journal.read():
        journal.forget(lines)
        found += lines
    return found


def files(root: Path) -> list[Path]:
    """The files of lines below a folder."""
    return list(root.rglob("*.lines"))


def held(root: Path) -> int:
    """Bytes of lines below a folder."""
    return sum(path.stat().st_size for path in files(root))


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which has kept the line `theirs` in the same place and goes on living."""
    code = (
        "import asyncio, sys; from pathlib import Path; from veleta_inference.adapters.journal import JournalFolder\n"
        f"own = JournalFolder(Path({str(tmp_path / 'journal')!r}), {LIMIT}, sync=True)\n"
        "asyncio.run(own.keep([b'theirs'])); print('kept', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"kept\n"
        yield other
        other.kill()


@pytest.mark.parametrize("sync", [True, False])
async def test_lines_are_read_in_the_order_they_came(journal: Open, sync: bool) -> None:
    """Until they are forgotten, the same ones again."""
    own = journal(sync=sync)
    await own.keep(LINES[:2])
    await own.keep(LINES[2:])
    assert own.read() == own.read() == LINES
    own.forget(LINES[:1])
    assert own.read() == LINES[1:]


async def test_the_disk_is_given_back(journal: Open, tmp_path: Path) -> None:
    """What the database has is not kept any longer."""
    own = journal()
    await own.keep(LINES)
    assert emptied(own) == LINES
    assert held(tmp_path) == 0
    await own.keep(LINES)
    assert own.read() == LINES


async def test_files_follow_each_other(journal: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full one is followed by the next, and goes when it is read to its end."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 20)
    own = journal()
    kept = [b'{"n": %d}' % n for n in range(50)]
    for line in kept:
        await own.keep([line])
    assert len(files(tmp_path)) > 10
    assert emptied(own) == kept
    assert len(files(tmp_path)) == 1


async def test_a_group_is_bounded_but_holds_a_line(journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than a group is a group of its own."""
    monkeypatch.setattr(journal_module, "GROUP_BYTES", 20)
    own = journal()
    long = b"x" * 100
    await own.keep([*LINES, long])
    assert own.read() == LINES[:2]
    own.forget(LINES)
    assert own.read() == [long]


async def test_a_full_journal_keeps_nothing_more(journal: Open) -> None:
    """It says how much waits; with room again it goes on."""
    own = journal(limit=30)
    await own.keep(LINES)
    with pytest.raises(Retry, match="journal: 27 bytes wait to be written to MySQL, and 30 may"):
        await own.keep(LINES)
    assert emptied(own) == LINES
    await own.keep(LINES)


@pytest.mark.failure("F53")
@pytest.mark.parametrize(
    ("call", "fault"), [("pwrite", lambda *_: 3), ("pwrite", None), ("fdatasync", None)], ids=["cut", "write", "sync"]
)
async def test_what_could_not_be_written_is_not_there(
    journal: Open, monkeypatch: pytest.MonkeyPatch, call: str, fault: Callable[..., int] | None
) -> None:
    """No half group: the client was told 503, and the next one finds the journal as it was."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    own = journal()
    await own.keep(LINES[:1])
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fault or full)
        with pytest.raises(Retry, match="journal: No space left on device"):
            await own.keep(LINES)
    assert own.read() == LINES[:1]
    await own.keep(LINES[1:])
    assert own.read() == LINES


async def test_nothing_is_forgotten_while_it_is_being_kept(journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is emptied only when nothing is on its way into it."""
    own = journal()
    await own.keep(LINES[:1])
    keeping = asyncio.create_task(own.keep(LINES[1:]))
    await asyncio.sleep(0)
    own.forget(LINES[:1])
    await keeping
    assert own.read() == LINES[1:]


@pytest.mark.failure("F50")
async def test_the_next_process_finds_what_was_left(tmp_path: Path) -> None:
    """The half line of a kill in the middle of a write was never answered, and is cut off."""
    before = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await before.keep(LINES)
    before.close()
    (left,) = files(tmp_path)
    with left.open("ab") as half:
        half.write(b'{"n": 4')
    after = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
    await after.keep([b'{"n": 5}'])
    assert emptied(after) == [*LINES, b'{"n": 5}']
    after.close()


@pytest.mark.failure("F50")
async def test_each_process_has_a_folder_of_its_own(journal: Open, stranger: subprocess.Popen[bytes]) -> None:
    """Nobody reads the lines of a process that lives; those of one that died go to the next one that starts."""
    first = journal()
    await first.keep([b"mine"])
    second = journal()
    assert (first.read(), second.read()) == ([b"mine"], [])
    stranger.kill()
    await asyncio.to_thread(stranger.wait)
    third = journal()
    assert (first.read(), second.read(), third.read()) == ([b"mine"], [], [b"theirs"])


async def test_what_is_left_empty_stops_nobody(tmp_path: Path) -> None:
    """A process that had nothing to leave leaves an empty file."""
    for n in range(3):
        own = JournalFolder(tmp_path / "journal", LIMIT, sync=True)
        await own.keep([b"%d" % n])
        assert emptied(own) == [b"%d" % n]
        own.close()
