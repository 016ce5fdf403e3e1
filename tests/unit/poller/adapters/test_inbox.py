"""What the inbox stores, and when it is durable."""

import os
from pathlib import Path

import pytest

from support.poller import Clock
from veleta.errors import Retry, Stop
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import PollerState
from veleta_poller.ports import StoredResponse


def test_an_inbox_has_one_poller(tmp_path: Path) -> None:
    """The second one waits for the lock."""
    Inbox(tmp_path, Clock()).lock()
    with pytest.raises(Retry, match="another poller"):
        Inbox(tmp_path, Clock()).lock()


def test_the_state_survives_the_process(tmp_path: Path) -> None:
    """All of it."""
    state = PollerState(
        Position(2, 3, "d"), restarted_after=2, partial_received=True, findings=("n",), largest_response=7
    )
    Inbox(tmp_path, Clock()).save_state(state)
    assert Inbox(tmp_path, Clock()).load_state() == state


@pytest.mark.parametrize("content", ["{", "[]", '{"position": {"epoch": 1, "what": 2}, "notes": []}'])
def test_an_unreadable_state_stops_the_poller(tmp_path: Path, content: str) -> None:
    """The initial state would begin epoch 1 a second time."""
    inbox = Inbox(tmp_path, Clock())
    (tmp_path / "position.json").write_text(content)
    with pytest.raises(Stop, match=r"position\.json"):
        inbox.load_state()


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


@pytest.mark.failure("F01")
def test_a_complete_response_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its bytes are synced before it is renamed, and the folder after that. So are moves and deletions."""
    inbox = Inbox(tmp_path / "inbox", Clock())
    disk = DiskOperations(monkeypatch)
    responses = [_receive(inbox, b"body") for _ in range(2)]
    assert disk.take() == ["sync 4 bytes", "rename .part to inbox/*.body", "sync inbox"] * 2
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
    """It is quarantined later. Only status 200 with content may have been a batch."""
    inbox = Inbox(tmp_path, Clock())
    for status, content, may_be_a_batch in ((200, b"", False), (500, b"{", False), (200, b"{", True)):
        with inbox.receive(status) as partial:
            partial.write(content)
        assert inbox.unpublished() == []
        assert inbox.quarantine_partial() is may_be_a_batch
        assert list(tmp_path.glob("*.part")) == []
    assert len(list((tmp_path / "kept").glob("*.part"))) == 3


def test_responses_are_read_in_the_order_they_came(tmp_path: Path) -> None:
    """With their status and size, and without a byte order mark."""
    inbox = Inbox(tmp_path, Clock())
    responses = [_receive(inbox, content, status) for content, status in ((b"\xef\xbb\xbfa", 200), (b"bc", 500))]
    assert inbox.unpublished() == responses
    assert [(r.status, inbox.read(r), inbox.size(r)) for r in responses] == [(200, "a", 4), (500, "bc", 2)]


def _receive(inbox: Inbox, content: bytes, status: int = 200) -> StoredResponse:
    with inbox.receive(status) as partial:
        partial.write(content)
        return partial.complete()
