"""A service with faults in it: `python -m support.faulty SERVICE`.

The variable FAULTS names a file whose lines are a place and what happens there: `kill`, `fail` (the call is to be tried
again) or seconds to be slow. When the process passes the place of the first line, the line is taken out and happens; so
the lines happen in their order, over as many starts as it takes.
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


def kills(places: Sequence[str]) -> list[str]:
    """A kill at each place, in order."""
    return [f"{place} kill" for place in places]


class Script:
    """The faults that are still to happen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, place: str) -> None:
        lines = self._path.read_text().splitlines()
        if not lines or lines[0].split()[0] != place:
            return
        draft = self._path.with_suffix(".draft")
        draft.write_text("".join(f"{line}\n" for line in lines[1:]))
        draft.rename(self._path)
        happens(lines[0].split()[1], place)


def happens(what: str, place: str) -> None:
    """One fault."""
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "fail":
        raise Retry("fault", f"a test is at {place}")
    else:
        time.sleep(float(what))


if __name__ == "__main__":
    fault_point.install(Script(Path(os.environ["FAULTS"])))
    runpy.run_module(f"veleta_{sys.argv[1]}", run_name="__main__")
