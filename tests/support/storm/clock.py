"""A clock of a whole run that jumps: libfaketime adds the seconds in a file to the time that a process reads.

Only the time of day jumps (CLOCK_REALTIME). Monotonic clocks, and the times of files, stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from veleta_local.deployment import ROOT
from veleta_local.run import Run
from veleta_local.supervise import Program
from veleta_local.variables import Variables

LIBRARY = ROOT / ".runtime/faketime/libfaketime/vendor/libfaketime/src/libfaketime.so.1"
"""Where `compose/local/install.sh soak` installs it."""
JUMP_SECONDS = 7200


class CannotJump(Exception):
    """libfaketime is not installed."""


class JumpingClock:
    """The seconds by which the clock of a run is ahead, in a file that its processes read every two seconds."""

    def __init__(self, path: Path) -> None:
        """Raises CannotJump."""
        if not LIBRARY.exists():
            raise CannotJump("libfaketime is missing: compose/local/install.sh soak installs it")
        self.ahead = 0
        self._path = path
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back if `seconds` is negative."""
        self.ahead += seconds
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{self.ahead:+d}\n")
        fresh.replace(self._path)

    def environment(self) -> dict[str, str]:
        """The variables of a process that follows this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it, the timed waits of Java return at once
            "NO_FAKE_STAT": "1",
        }

    def followers(self, pids: Mapping[str, int]) -> set[str]:
        """The parts whose process has loaded the library."""
        name = LIBRARY.name
        return {part for part, pid in pids.items() if pid and name in Path(f"/proc/{pid}/maps").read_text()}


class ClockedRun(Run):
    """A run whose parts all follow a clock that jumps. supervisord does not."""

    def __init__(self, home: Path, variables: Variables, clock: JumpingClock, report: Callable[[str], None]) -> None:
        super().__init__(home, variables, report)
        self._clock = clock

    def _programs(self) -> dict[str, Program]:
        added = self._clock.environment()
        programs = super()._programs().items()
        return {part: replace(each, environment={**each.environment, **added}) for part, each in programs}
