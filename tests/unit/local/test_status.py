"""`make status`: the process, the restarts, the health and the last error of each part."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from veleta_local import status
from veleta_local.health import Health
from veleta_local.run import Run
from veleta_local.supervise import Program, State, Supervisor, Unresponsive


class Log:
    """Attempts of two parts: the loader ended twice and starts again."""

    def by_part(self) -> dict[str, list[str]]:
        return {"kafka": ["1"], "loader": ["1", "2", "3"], "drift": []}

    def last_error(self, part: str, _attempts: list[str]) -> str:
        return {"loader": "10:00:02 loader: no room"}.get(part, "")


RUN = cast(
    "Run",
    SimpleNamespace(
        parts=("kafka", "loader", "drift"),
        states=lambda: {"kafka": State("RUNNING", 71234), "loader": State("BACKOFF", 0), "drift": State("STOPPED", 0)},
        health=lambda parts: {part: Health(ready=True, doing="answers") for part in parts},
        url=lambda part: f"http://127.0.0.1:{9092 if part == 'kafka' else 8092}",
        attempts=Log(),
    ),
)


def test_each_part_has_its_process_id_and_its_restarts() -> None:
    """A part without a process has none, and its health is not requested. The last errors are below the table."""
    assert status.as_table(RUN).splitlines() == [
        "part    state    pid    restarts  ready  address                doing",
        "kafka   running  71234  0         yes    127.0.0.1:9092         answers",
        "loader  backoff  -      2         no     http://127.0.0.1:8092  ended; it is started again",
        "drift   stopped  -      0         no     http://127.0.0.1:8092",
        "",
        "last errors",
        "  loader  10:00:02 loader: no room",
    ]


def test_programs_get_the_same() -> None:
    """A missing error is empty."""
    kafka, loader, _ = json.loads(status.as_json(RUN))["parts"]
    assert (kafka["restarts"], kafka["error"]) == (0, "")
    assert (loader["restarts"], loader["error"], loader["pid"]) == (2, "10:00:02 loader: no room", None)


@pytest.mark.failure("F164")
def test_a_frozen_supervisord_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes are found without it, a start is refused, and a stop ends the run."""
    run = Run(tmp_path / "home", report=lambda _: None)
    supervisor = Supervisor(run)
    run.folder("")
    supervisor.spawn({"loader": Program(["/bin/sleep", "60"], {})})
    try:
        supervisor.start(["loader"])
        pid = run.pid("loader")
        monkeypatch.setattr("veleta_local.supervise.TIMEOUT_SECONDS", 0.2)
        os.kill(int((run.home / "supervisor/supervisord.pid").read_text()), signal.SIGSTOP)
        loader = {row["part"]: row for row in status.rows(run)}["loader"]
        assert (loader["state"], loader["pid"]) == ("unknown", pid)
        with pytest.raises(Unresponsive, match="make stop ends the run"):
            run.start_backing()
    finally:
        run.stop()
    assert not run.alive()
