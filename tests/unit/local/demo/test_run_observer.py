"""What the observer of a run reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.records import message
from support.twins.shared import MemoryLog
from veleta.dataset import load_dataset
from veleta_local import status
from veleta_local.demo.event_messages import Message
from veleta_local.demo.run_observer import FIRST_READ, RunObserver, newest_offsets
from veleta_local.errors import RunStopped
from veleta_local.run import Run

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Observed:
    """An observer of a run whose parts have given states."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, ready: list[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        monkeypatch.setattr(status, "rows", lambda _run: self.rows)
        monkeypatch.setattr(RunObserver, "_lags", lambda _self: {})
        self._messages: list[Message] = []
        dataset = load_dataset("real_estate")
        self.observer = RunObserver(Run(home), dataset, self._messages.append, lambda: NOON, ready)

    async def poll(self, **ready: bool) -> list[tuple[str, str, str]]:
        """The messages of one look at the parts."""
        doing = {True: "answers", False: "waits for kafka"}
        self.rows = [
            {"part": name, "pid": 1, "ready": is_ready, "doing": doing[is_ready], "warnings": ["look"]}
            for name, is_ready in ready.items()
        ]
        self._messages.clear()
        await self.observer._poll_parts()
        return [(message.subject, message.text, message.level) for message in self._messages]


async def test_a_change_of_readiness_is_reported_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Parts that the start reported before are not reported again."""
    observed = Observed(monkeypatch, tmp_path, ["kafka"])
    assert await observed.poll(kafka=True, poller=True, loader=False) == [("poller", "ready", "success")]
    assert await observed.poll(kafka=True, poller=True, loader=False) == []
    assert await observed.poll(kafka=False, poller=True, loader=True) == [
        ("kafka", "waits for kafka", "warning"),
        ("loader", "ready", "success"),
    ]
    assert [part.warnings for part in observed.observer.parts] == [["look"]] * 3


@pytest.mark.failure("F415")
async def test_a_part_sends_no_commands_to_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its activity, its warnings and the error of an answer can have the text of a record or a response."""
    observed = Observed(monkeypatch, tmp_path, [])
    hostile, shown = "\x1b]0;owned\x07\x9b2J", r"\x1b]0;owned\x07\x9b2J"
    observed.rows = [{"part": "poller", "pid": 1, "ready": True, "doing": hostile, "warnings": [hostile]}]
    await observed.observer._poll_parts()
    observed.observer._on_error(hostile)
    (part,) = observed.observer.parts
    assert (part.doing, part.warnings, observed.observer.example.error) == (shown, [shown], shown)


async def test_a_run_without_a_process_was_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By another command."""
    observed = Observed(monkeypatch, tmp_path, [])
    with pytest.raises(RunStopped, match="another command stopped the run"):
        await observed.poll()


async def test_a_start_that_cannot_succeed_is_an_error_until_each_part_was_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A part that fails later is restarted, and the demo goes on."""
    checks: list[str] = []
    monkeypatch.setattr(Run, "check_start", lambda _run: checks.append("check"))
    monkeypatch.setattr(Run, "end_watch", lambda _run: checks.append("end"))
    observed = Observed(monkeypatch, tmp_path, [])
    await observed.poll(**dict.fromkeys(Run(tmp_path).parts, True) | {"inference": False})
    await observed.observer._check_start()
    assert checks == ["check"]
    await observed.poll(**dict.fromkeys(Run(tmp_path).parts, False) | {"inference": True})
    await observed.observer._check_start()
    assert checks == ["check", "check", "end"]


@pytest.mark.failure("F244")
def test_a_demo_reads_few_of_the_old_events() -> None:
    """Each topic from near its end, whatever its length."""
    log = MemoryLog()
    log.publish([message("d.batches")] * 1_000)
    log.publish([message("d.drift")] * 3)
    assert newest_offsets(log, ["d.batches", "d.drift"]) == {("d.batches", 0): 1_000 - FIRST_READ, ("d.drift", 0): 0}
