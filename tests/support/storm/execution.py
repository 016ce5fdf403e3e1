"""Executes the plan of a storm on a run."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.disk import SmallDisk
from support.storm.clock import JumpingClock
from support.storm.deletions import Deletions
from support.storm.faults import WEIGHTS, Fault
from veleta_local.run import Run
from veleta_local.supervise import Supervisor

PROCESS_SECONDS = 3.0
"""Seconds that a fault waits until its part has a process."""


@dataclass(frozen=True)
class InjectedFault:
    """An injected fault. `when` is time.monotonic(); `missed` is the reason if it had no effect."""

    when: float
    fault: Fault
    missed: str = ""


@dataclass
class Storm:
    """Executes a plan on a run and records the injected faults."""

    run: Run
    faults: list[Fault]
    disks: Mapping[str, SmallDisk]
    clock: JumpingClock
    deletions: Deletions
    report: Callable[[str], None]
    injected: list[InjectedFault] = field(default_factory=list)
    _frozen: dict[str, int] = field(default_factory=dict)

    def execute(self) -> None:
        """Execute the plan. Returns when every fault ended."""
        began = time.monotonic()
        moments = [(fault.at, 0, fault, self._begin) for fault in self.faults]
        moments += [(fault.at + fault.seconds, 1, fault, self._end) for fault in self.faults if fault.seconds]
        try:
            for at, _, fault, act in sorted(moments, key=lambda moment: moment[:2]):
                time.sleep(max(0.0, began + at - time.monotonic()))
                act(fault, time.monotonic() - began)
        finally:
            self.end_all()

    def end_all(self) -> None:
        """End all faults: resume frozen processes, make room on the disks and start stopped parts."""
        for part in list(self._frozen):
            self._resume(part)
        for disk in self.disks.values():
            disk.empty()
        Supervisor(self.run).start(self.run.parts)
        self.deletions.wait()

    def interruptions_of(self, part: str) -> list[float]:
        """The time.monotonic() of each kill of a part, and of each time when its disk became full."""
        kinds = ("killed", "disk full")
        return [s.when for s in self.injected if s.fault.kind in kinds and part in s.fault.parts and not s.missed]

    def table(self) -> str:
        """The number of faults by part and kind."""
        counts = Counter((part, s.fault.kind) for s in self.injected if not s.missed for part in s.fault.parts)
        kinds = [kind for kind in WEIGHTS if kind not in ("clock jump", "champion deleted")]
        head = f"{'part':<12}" + "".join(f"{kind:>14}" for kind in kinds)
        lines = [f"{part:<12}" + "".join(f"{counts[part, k]:>14}" for k in kinds) for part in self.run.parts]
        jumps = Counter(f"{s.fault.jump:+} s" for s in self.injected if s.fault.kind == "clock jump")
        missed = sum(bool(s.missed) for s in self.injected)
        return "\n".join(
            [
                head,
                *lines,
                f"jumps of the clock: {dict(jumps) or 'none'}",
                f"deleted champions: {', '.join(map(str, self.deletions.done)) or 'none'}",
                f"{len(self.injected) - missed} faults; {missed} found no process",
            ]
        )

    def _begin(self, fault: Fault, at: float) -> None:
        when, missed = time.monotonic(), ""
        match fault.kind:
            case "stopped":
                Supervisor(self.run).stop(fault.parts)
            case "disk full":
                self.disks[fault.what].fill()
            case "clock jump":
                self.clock.jump(fault.jump)
            case "champion deleted":
                self.deletions.begin(fault.seconds)
            case _:
                missed = self._signal(fault)
        self.injected.append(InjectedFault(when, fault, missed))
        self.report(f"{at:7.1f} s  {fault}{missed and f': {missed}'}")

    def _end(self, fault: Fault, at: float) -> None:
        match fault.kind:
            case "stopped":
                Supervisor(self.run).start(fault.parts)
            case "disk full":
                self.disks[fault.what].empty()
            case "frozen":
                self._resume(fault.parts[0])
            case _:
                return
        self.report(f"{at:7.1f} s  {fault.what or ' and '.join(fault.parts)} back")

    def _signal(self, fault: Fault) -> str:
        """Send one signal to one process; a part is frozen with its children. Returns the reason if there was none."""
        (part,) = fault.parts
        pid = self._pid(part)
        if fault.kind == "child killed":
            pid = next(iter(_children(pid)), 0) if pid else 0
        if not pid:
            return "no process"
        try:
            if fault.kind == "frozen":
                os.killpg(pid, signal.SIGSTOP)  # supervisord makes each part the leader of a group
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return "the process just ended"
        if fault.kind == "frozen":
            self._frozen[part] = pid
        return ""

    def _pid(self, part: str) -> int:
        until = time.monotonic() + PROCESS_SECONDS
        while not (pid := self.run.pid(part)) and time.monotonic() < until:
            time.sleep(0.2)
        return pid

    def _resume(self, part: str) -> None:
        if pid := self._frozen.pop(part, 0):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(word) for text in texts for word in text.split()]
    return []
