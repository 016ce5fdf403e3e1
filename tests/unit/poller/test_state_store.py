"""When a change of the state is visible."""

import asyncio
from pathlib import Path

import pytest

from support.poller import Clock
from veleta.service.health import ServiceHealth
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.state import PollerState
from veleta_poller.state_store import StateStore


async def test_a_change_is_stored_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be stored, nothing changes."""
    inbox = Inbox(tmp_path, Clock())
    store = StateStore(inbox, ServiceHealth("poller"))
    visible: list[PollerState] = []
    monkeypatch.setattr(inbox, "save_state", lambda _state: visible.append(store.state))
    await store.update(PollerState.response_interrupted)
    assert visible == [PollerState()]
    assert store.state.partial_received

    def fail(_state: PollerState) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(inbox, "save_state", fail)
    with pytest.raises(OSError, match="disk full"):
        await store.update(lambda state: state.response_published(7))
    assert store.state.largest_response == 0


async def test_concurrent_changes_are_applied_one_after_the_other(tmp_path: Path) -> None:
    """None of them is lost."""
    inbox = Inbox(tmp_path, Clock())
    store = StateStore(inbox, ServiceHealth("poller"))
    await asyncio.gather(*(store.update(lambda s, n=n: s.with_finding(f"{n}")) for n in range(9)))  # type: ignore[misc]  # bound at once
    assert sorted(store.state.findings) == sorted(inbox.load_state().findings) == [f"{n}" for n in range(9)]


async def test_an_unchanged_state_is_not_written(tmp_path: Path) -> None:
    """Most polls change nothing that is stored."""
    store = StateStore(Inbox(tmp_path, Clock()), ServiceHealth("poller"))
    await store.update(PollerState.poll_started)
    assert not (tmp_path / "position.json").exists()
