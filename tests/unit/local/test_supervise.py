"""The programs of supervisord, and its states."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from xmlrpc.client import Fault

import pytest

from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.supervise import Program, State, Supervisor

SPECIAL = """it's "50 %" # of ; $HOME `x` \\ ñ"""


def test_a_program_gets_its_environment_and_arguments_unchanged() -> None:
    """The script exports the environment and quotes the arguments."""
    script = Program(["/bin/sh", "-c", 'printf "%s|%s" "$VALUE" "$0"', SPECIAL], {"VALUE": SPECIAL}).script()
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{SPECIAL}|{SPECIAL}"


def test_a_supervisord_that_shuts_down_has_no_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers each call with a fault. A start then waits for its end and starts another one."""

    def refuse() -> None:
        raise Fault(6, "SHUTDOWN_STATE")

    calls = nullcontext(SimpleNamespace(getAllProcessInfo=refuse))
    monkeypatch.setattr(Supervisor, "_rpc", lambda _: calls)
    assert Supervisor(Deployment(tmp_path)).states() == {}


@pytest.mark.failure("F237")
def test_parts_are_not_started_by_a_dead_supervisord(tmp_path: Path) -> None:
    """It died just before. The error names what to do; a stop has nothing to do."""
    supervisor = Supervisor(Deployment(tmp_path))
    with pytest.raises(LocalError, match="supervisord has ended: make start starts it again"):
        supervisor.start(["kafka"])
    supervisor.stop(["kafka"])


@pytest.mark.failure("F237")
@pytest.mark.parametrize("method", ["start", "stop", "shutdown"])
def test_supervisord_may_die_between_two_calls(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answered once."""
    supervisor = Supervisor(Deployment(tmp_path))
    states = iter([{"kafka": State("STOPPED" if method == "start" else "RUNNING", 0)}])
    monkeypatch.setattr(supervisor, "states", lambda: next(states, {}))
    if method == "shutdown":
        supervisor.shutdown()
    elif method == "stop":
        supervisor.stop(["kafka"])
    else:
        with pytest.raises(LocalError, match="supervisord has ended"):
            supervisor.start(["kafka"])
