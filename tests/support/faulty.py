"""Runs a service with injected faults: `python -m support.faulty SERVICE`.

The variable FAULTS names a file. Each line is a fault point and a fault: `kill`, `fail` (raises Retry) or seconds to
sleep. When the process reaches the fault point of the first line, that line is removed and its fault is injected. So
the faults happen in order, over as many restarts as it takes.
"""

import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from veleta.errors import Retry
from veleta.faults import fault_point


def kills(points: Sequence[str]) -> list[str]:
    """One kill at each fault point, in order."""
    return [f"{point} kill" for point in points]


class FaultScript:
    """The faults that are still to be injected."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, point: str) -> None:
        lines = self._path.read_text().splitlines()
        if not lines or lines[0].split()[0] != point:
            return
        temporary = self._path.with_suffix(".temporary")
        temporary.write_text("".join(f"{line}\n" for line in lines[1:]))
        temporary.rename(self._path)
        inject(lines[0].split()[1], point)


def inject(fault: str, point: str) -> None:
    """Inject one fault."""
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "fail":
        raise Retry("fault", f"a test is at {point}")
    else:
        time.sleep(float(fault))


if __name__ == "__main__":
    fault_point.install(FaultScript(Path(os.environ["FAULTS"])))
    runpy.run_module(f"veleta_{sys.argv[1]}", run_name="__main__")
