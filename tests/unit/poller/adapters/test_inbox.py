"""What the inbox stores, and when it is durable."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.poller import Clock
from veleta.errors import Retry, Stop
from veleta_poller.adapters import inbox as inbox_module
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import Body, Phase, PollerState, PollMode, Reply
from veleta_poller.ports import StoredResponse

STORED = (
    '{"position":{"epoch":2,"number":3,"digest":"d"},"restart_of":2,"torn":true,"notes":["n"],"largest":7,'
    '"tap":{"mode":"manual","paused":true,"wanted":4,"pauses":5},'
    '"replies":[{"command":"d/poll/1","accepted":true,"words":"done"}]}'
)
"""The text that the first version wrote."""
STATE = PollerState(
    Position(2, 3, "d"),
    restarted_after=2,
    partial_received=True,
    findings=("n",),
    largest_response=7,
    poll_mode=PollMode("manual", paused=True, requested=4),
    replies=(Reply("d/poll/1", accepted=True, text="done"),),
)


def load(folder: Path, content: str) -> PollerState:
    """The state in a file with this content."""
    (folder / "position.json").write_text(content)
    return Inbox(folder, Clock()).load_state()


@pytest.mark.failure("F79")
def test_an_inbox_has_one_poller(tmp_path: Path) -> None:
    """The second one waits for the lock."""
    Inbox(tmp_path, Clock()).lock()
    with pytest.raises(Retry, match="another poller"):
        Inbox(tmp_path, Clock()).lock()


def test_the_state_survives_the_process(tmp_path: Path) -> None:
    """All of it."""
    Inbox(tmp_path, Clock()).save_state(STATE)
    assert Inbox(tmp_path, Clock()).load_state() == STATE


@pytest.mark.parametrize("content", ["{", "[]", "{}x", '{"position": {"epoch": 1, "what": 2}, "notes": []}'])
def test_an_unreadable_state_stops_the_poller(tmp_path: Path, content: str) -> None:
    """The initial state would begin epoch 1 a second time."""
    with pytest.raises(Stop, match=r"position\.json"):
        load(tmp_path, content)


def test_a_state_of_the_first_version_is_read(tmp_path: Path) -> None:
    """A run continues after an update."""
    assert load(tmp_path, STORED) == STATE


def test_a_state_is_written_with_the_keys_of_the_first_version(tmp_path: Path) -> None:
    """Except the counter of pauses, which has a default there, and what has been read of the topic."""
    Inbox(tmp_path, Clock()).save_state(STATE)
    expected = json.loads(STORED)
    del expected["tap"]["pauses"]
    stored = json.loads((tmp_path / "position.json").read_text())
    assert stored.pop("topic")["next_offset"] == 0
    assert stored == expected


def test_keys_that_were_added_later_have_defaults(tmp_path: Path) -> None:
    """Older files have only the position and the notes."""
    assert load(tmp_path, '{"position":{"epoch":1,"number":2},"notes":[]}') == PollerState(Position(1, 2))


def test_the_phase_is_not_stored(tmp_path: Path) -> None:
    """A restarted poller requests the next batch again."""
    ended = PollerState(Position(1, 2)).data_ended().polling_ended()
    assert ended.phase is Phase.ENDED
    (inbox := Inbox(tmp_path, Clock())).save_state(ended)
    assert inbox.load_state() == PollerState(Position(1, 2))


class DiskOperations:
    """Records syncs of files (with their size) and folders, renames and deletions, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        fsync, rename, unlink = os.fsync, Path.rename, Path.unlink

        def record_fsync(handle: int) -> None:
            path = Path(f"/proc/self/fd/{handle}").readlink()
            self.calls.append(f"sync {path.name}" if path.is_dir() else f"sync {path.stat().st_size} bytes")
            fsync(handle)

        def record_rename(path: Path, target: Path) -> Path:
            self.calls.append(f"rename {path.suffix} to {target.parent.name}/*{target.suffix}")
            return rename(path, target)

        def record_unlink(path: Path, missing_ok: bool = False) -> None:
            self.calls.append(f"delete {path.suffix}")
            unlink(path, missing_ok)

        monkeypatch.setattr(os, "fsync", record_fsync)
        monkeypatch.setattr(Path, "rename", record_rename)
        monkeypatch.setattr(Path, "unlink", record_unlink)

    def take(self) -> list[str]:
        """Return and forget the calls so far."""
        calls, self.calls = self.calls, []
        return calls


@pytest.mark.failure("F72")
def test_a_complete_response_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes and its name are synced before the poller continues. So are moves and deletions."""
    inbox = Inbox(tmp_path / "inbox", Clock())
    disk = DiskOperations(monkeypatch)
    responses = [_receive(inbox, b"body") for _ in range(2)]
    assert disk.take() == ["rename .part to inbox/*.body", "sync 4 bytes", "sync inbox"] * 2
    inbox.quarantine(responses[0])
    assert disk.take() == ["rename .body to kept/*.body", "sync kept", "sync inbox"]
    inbox.delete(responses[1])
    assert disk.take() == ["delete .body", "sync inbox"]


def test_a_saved_state_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves the old state or the new one."""
    inbox = Inbox(tmp_path / "inbox", Clock())
    disk = DiskOperations(monkeypatch)
    inbox.save_state(PollerState())
    synced, *others = disk.take()
    assert synced == f"sync {(tmp_path / 'inbox' / 'position.json').stat().st_size} bytes"
    assert others == ["rename .draft to inbox/*.json", "sync inbox"]


def test_an_incomplete_response_stays_partial(tmp_path: Path) -> None:
    """It is quarantined later, which may be repeated."""
    inbox = Inbox(tmp_path, Clock())
    for status, content in ((200, b""), (500, b"{")):
        with inbox.receive(status) as partial:
            partial.write(content)
    assert inbox.unpublished() == []
    interrupted = inbox.interrupted()
    assert [(response.status, response.size) for response in interrupted] == [(200, 0), (500, 1)]
    for response in interrupted * 2:
        inbox.quarantine(response)
    assert inbox.interrupted() == []
    assert len(list((tmp_path / "kept").glob("*.part"))) == 2


@pytest.mark.failure("F326")
@pytest.mark.parametrize(("max_kept", "left"), [(9, 3), (8, 2), (6, 2), (5, 1), (1, 1)])
def test_the_quarantine_keeps_the_newest_responses(tmp_path: Path, max_kept: int, left: int) -> None:
    """Of three bytes each, as many as fit; the newest one always."""
    inbox = Inbox(tmp_path, Clock(), max_kept)
    responses = [_receive(inbox, content) for content in (b"one", b"two", b"six")]
    for response in responses:
        inbox.quarantine(response)
    kept = sorted(path.read_bytes() for path in (tmp_path / "kept").iterdir())
    assert kept == sorted([b"one", b"two", b"six"][-left:])


@pytest.mark.failure("F307")
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_cannot_be_written_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Full, broken or read-only: each change raises Retry with the reason, and the stored state stays complete."""
    inbox = Inbox(tmp_path, Clock())
    inbox.save_state(STATE)
    response = _receive(inbox, b"body")
    monkeypatch.setattr(inbox_module, "MIN_FREE_BYTES", 0)

    def fail(_handle: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fail)
    changes: list[Callable[[], object]] = [
        lambda: inbox.save_state(PollerState()),
        lambda: inbox.require_free_space(0),
        lambda: _receive(inbox, b"body"),
        lambda: inbox.quarantine(response),
        lambda: inbox.delete(response),
    ]
    for change in changes:
        with pytest.raises(Retry, match=os.strerror(error)) as raised:
            change()
        assert raised.value.dependency == "disk"
    monkeypatch.undo()
    assert Inbox(tmp_path, Clock()).load_state() == STATE


def test_a_state_with_a_body_is_read_again(tmp_path: Path) -> None:
    """It is written only while a response is handled, so an earlier version can read the file of a stopped poller."""
    (inbox := Inbox(tmp_path, Clock())).save_state(replace(STATE, body=Body("b", attempts=2)))
    assert inbox.load_state().body == Body("b", attempts=2)
    inbox.save_state(STATE)
    assert "body" not in json.loads((tmp_path / "position.json").read_text())


def test_responses_are_read_in_the_order_they_came(tmp_path: Path) -> None:
    """With their status and size, byte by byte."""
    inbox = Inbox(tmp_path, Clock())
    responses = [_receive(inbox, content, status) for content, status in ((b"\xef\xbb\xbfa", 200), (b"bc", 500))]
    assert inbox.unpublished() == responses
    assert [(r.status, inbox.read(r), r.size) for r in responses] == [(200, b"\xef\xbb\xbfa", 4), (500, b"bc", 2)]


def _receive(inbox: Inbox, content: bytes, status: int = 200) -> StoredResponse:
    with inbox.receive(status) as partial:
        partial.write(content)
        return partial.complete()
