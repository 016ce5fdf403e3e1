"""The processes of a run are found by their environment."""

import os
import subprocess
import sys
from pathlib import Path

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
