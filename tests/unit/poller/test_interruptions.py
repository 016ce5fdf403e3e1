"""The poller is killed, and its disk fails, at each step that changes its disk or its topics."""

import asyncio
import errno
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.poller import END, FailingLog, Scene, Scripted, batch
from veleta.events.envelope import Message, decode

SCRIPTS: dict[str, Sequence[Scripted]] = {
    "the last batch is interrupted": [batch(0), '{"batch_nu', END, batch(0)],
    "a batch is interrupted, and others follow": [batch(0), '{"batch_nu', batch(2), END, batch(0)],
    "no record can hold a batch": [batch(0), batch(1, city="x" * 30_000), batch(2)],
    "a batch is refused and one is repeated": [batch(0), (500, "{}"), batch(1), batch(1), batch(2)],
    "another client restarts the API": [batch(0), batch(3), batch(1), END, batch(0)],
}
every_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Steps:
    """Counts the steps of one process. Before the one with the number `at` it raises `error`, `times` times."""

    at: int = 0
    error: Callable[[], BaseException] = Killed
    times: int = 10_000
    count: int = 0

    def __call__(self) -> None:
        self.count += 1
        if self.at <= self.count < self.at + self.times and self.at:
            raise self.error()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Each sync, rename and deletion is a step. A sync does nothing else: only a loss of power would show it."""
    steps = Steps()

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            steps()
            return call(*args, **options)

        return step

    monkeypatch.setattr(os, "fsync", counted(lambda _handle: None))
    rename, renamed = Path.rename, counted(Path.rename)
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    # Before the rename of a `.part` the response did not arrive completely.
    monkeypatch.setattr(Path, "rename", lambda path, to: (rename if path.suffix == ".part" else renamed)(path, to))
    return steps


class SteppedLog(FailingLog):
    """Each publication is two steps: before the messages are appended, and after."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self._steps()
        places = super().publish(messages)
        self._steps()
        return places


def story(scene: Scene) -> list[str]:
    """The ids of the events in `batches`, each once, without the names of refused bodies."""
    ids = [decode(record).id for record in scene.log.topics["real_estate.batches"]]
    return list(dict.fromkeys(re.sub(r"/refused/.*", "/refused", event_id) for event_id in ids))


async def run_killed(scene: Scene, script: Sequence[Scripted], steps: Steps, after: Path) -> Scene:
    """Run the script; after a kill a new process continues it, with the responses that the API did not yet send."""
    try:
        async with asyncio.timeout(5):
            await scene.run(*script)
    except* Killed:
        pass
    if scene.health.stopping.is_set():
        return scene
    steps.at = 0
    rest = scene.crashed(after)
    await rest.run(*scene.api.remaining)
    return rest


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and a small limit of a record."""
    monkeypatch.setattr("veleta.service.health.INITIAL_BACKOFF", 0.001)
    monkeypatch.setattr("support.twins.shared.MAX_MESSAGE_BYTES", 20_000)


@every_script
@pytest.mark.failure("F306")
async def test_a_kill_at_any_step_changes_no_event(tmp_path: Path, disk: Steps, script: Sequence[Scripted]) -> None:
    """No batch is missed that came, none that never existed, and a refused one is not missed too."""
    expected = Scene(tmp_path / "expected", SteppedLog(disk))
    await expected.run(*script)
    steps = disk.count
    assert steps > 20
    for number in range(1, steps + 1):
        disk.count, disk.at = 0, number
        scene = await run_killed(Scene(tmp_path / f"{number}", SteppedLog(disk)), script, disk, tmp_path / f"{number}-")
        assert story(scene) == story(expected), f"killed at step {number} of {steps}"
        assert scene.closed() == expected.closed()
        assert scene.files() == expected.files(), f"killed at step {number} of {steps}"


@every_script
@pytest.mark.failure("F307")
async def test_a_disk_that_fails_at_any_step_delays_the_poller(
    tmp_path: Path, disk: Steps, script: Sequence[Scripted]
) -> None:
    """/readyz names the disk. When it works again, the events are those of a run without a failure."""
    expected = Scene(tmp_path / "expected")
    await expected.run(*script)
    steps = disk.count
    assert steps > 20
    for number in range(1, steps + 1):
        disk.count, disk.at, disk.times, disk.error = 0, number, 2, disk_full
        scene = Scene(tmp_path / f"{number}")
        reasons = recorded(scene)

        async with asyncio.timeout(5):
            await scene.run(*script)
        assert any("No space left on device" in reason for reason in reasons["disk"]), f"at step {number} of {steps}"
        assert "disk" not in scene.health.unavailable
        assert (story(scene), scene.closed(), scene.files()) == (
            story(expected),
            expected.closed(),
            expected.files(),
        ), f"the disk failed at step {number} of {steps}"


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def recorded(scene: Scene) -> dict[str, list[str]]:
    """The reasons for which each dependency was unavailable, from now on."""
    reasons = defaultdict[str, list[str]](list)
    report = scene.health.set_unavailable

    def record(dependency: str, reason: str) -> None:
        reasons[dependency].append(reason)
        report(dependency, reason)

    scene.health.set_unavailable = record  # type: ignore[method-assign]  # the method with a record
    return reasons
