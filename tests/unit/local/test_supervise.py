"""The programs of supervisord, and its states."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from xmlrpc.client import Fault

import pytest

from veleta_local.deployment import Deployment
from veleta_local.supervise import Program, Supervisor

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
