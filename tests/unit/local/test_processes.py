"""The processes of a run are found by their environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from veleta_local import processes


def sleeper(home: Path, part: str) -> subprocess.Popen[bytes]:
    """A process of a part that has started, and ignores SIGTERM."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    marks = {processes.HOME_MARK: str(home), processes.PART_MARK: part}
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **marks}, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    return process


def test_processes_are_grouped_by_part(tmp_path: Path) -> None:
    """Another run's process is not found. To kill a part leaves the others."""
    loader, drift, other = sleeper(tmp_path, "loader"), sleeper(tmp_path, "drift"), sleeper(tmp_path / "x", "loader")
    try:
        pids = {part: [process.pid for process in of_part] for part, of_part in processes.by_part(tmp_path).items()}
        assert pids == {"loader": [loader.pid], "drift": [drift.pid]}
        processes.kill_part(tmp_path, "loader")
        assert [process.pid for process in processes.of_run(tmp_path)] == [drift.pid]
        processes.end_run(tmp_path, timeout=0.3)
        assert processes.of_run(tmp_path) == []
        assert other.poll() is None
    finally:
        for process in (loader, drift, other):
            process.kill()
            process.wait()


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = sleeper(tmp_path, "loader")
    yield process
    process.kill()
    process.wait()


def ended(home: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether `make stop` ends the process."""
    found = processes.of_run(home)
    processes.end_run(home, timeout=0.1)
    assert bool(found) == (process.poll() is not None)
    return bool(found)


@pytest.mark.failure("F416")
def test_a_process_of_a_container_is_not_of_this_run(
    loader: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same path and variables, and root sees it. Its processes and files are others."""
    view_of = processes._view_of
    for other in range(2):

        def changed(process: int | str, other: int = other) -> list[tuple[int, int]]:
            seen = view_of(process)
            if process == loader.pid:
                seen[other] = (0, 0)
            return seen

        monkeypatch.setattr(processes, "_view_of", changed)
        assert not ended(tmp_path, loader)
    monkeypatch.setattr(processes, "_view_of", view_of)
    assert ended(tmp_path, loader)


@pytest.mark.failure("F416")
def test_a_process_of_another_account_is_not_of_this_run(
    loader: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can set the variables. The owner of the home is no other account: root ends the run of a user."""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_owners", lambda _home: {os.getuid()})
        assert not ended(tmp_path, loader)
    assert ended(tmp_path, loader)
