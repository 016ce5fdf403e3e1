"""Starts of a real run that fail."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.repository import ROOT
from support.testbed import free_base
from veleta_local import processes
from veleta_local.run import Run
from veleta_local.variables import Variables


@dataclass(frozen=True)
class FailedStart:
    """The exit code and the last line of a start."""

    code: int
    reason: str


class Checkout:
    """A folder with its own run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = Variables(port_base=free_base())

    @property
    def run(self) -> Run:
        return Run(self.folder / ".veleta", report=lambda _: None)

    def start(self, **variables: object) -> FailedStart:
        """As `make start`, which exits with 2 when this does with 1."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PORT_BASE": str(self.variables.port_base)}
        done = subprocess.run(
            [sys.executable, "-u", "-m", "support.command_line", "start"],
            env=environment | {name.upper(): str(value) for name, value in variables.items()},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        print(done.stdout, done.stderr)  # noqa: T201 - pytest shows it when the test fails
        return FailedStart(done.returncode, (done.stderr.splitlines() or [""])[-1])

    def is_down(self) -> bool:
        """Whether no process is left."""
        return not processes.of_run(self.folder / ".veleta")
