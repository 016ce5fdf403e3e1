"""Random faults: which part is killed, stopped or frozen, when, and for how long."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from veleta_local.run import Run
from veleta_local.supervise import Supervisor

Kind = Literal["killed", "child killed", "stopped", "frozen"]
PAUSE_SECONDS = (6.0, 10.0)
"""Seconds from one fault to the next."""
STOPPED_SECONDS = (3.0, 20.0)
FROZEN_SECONDS = (2.0, 90.0)
RECOVERY_SECONDS = 3.0
"""Seconds without a fault for a part that resumed."""
WEIGHTS: dict[Kind, int] = {"killed": 60, "child killed": 5, "stopped": 20, "frozen": 15}
PROCESS_SECONDS = 3.0
"""Seconds that a fault waits until its part has a process."""


@dataclass(frozen=True)
class Fault:
    """`at`: seconds since the start of the storm; `seconds`: the duration, 0 for a kill."""

    at: float
    kind: Kind
    parts: tuple[str, ...]
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{' and '.join(self.parts)} {self.kind}{lasting}"


def plan(seed: int, seconds: float, backing: Sequence[str], services: Sequence[str]) -> list[Fault]:
    """The faults of a storm; the same arguments give the same faults.

    A part that is stopped or frozen gets no other fault. Kills visit all parts in turn, each time in another order.
    """
    chance = random.Random(seed)  # noqa: S311 - a test, no secret
    taken: dict[str, float] = {}
    faults: list[Fault] = []
    turn: list[str] = []
    at = chance.uniform(*PAUSE_SECONDS) / 2
    while at < seconds:
        kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        free_backing, free_services = (
            [part for part in parts if taken.get(part, 0) < at] for parts in (backing, services)
        )
        fault = _fault(chance, at, kind, free_backing, free_services, turn)
        faults.append(fault)
        taken |= {part: at + fault.seconds + RECOVERY_SECONDS for part in fault.parts if fault.seconds}
        at += chance.uniform(*PAUSE_SECONDS)
    return faults


def _fault(
    chance: random.Random, at: float, kind: Kind, backing: list[str], services: list[str], turn: list[str]
) -> Fault:
    if kind == "stopped" and backing:
        count = min(len(backing), chance.choice((1, 1, 2)))
        return Fault(at, kind, tuple(sorted(chance.sample(backing, count))), chance.uniform(*STOPPED_SECONDS))
    if kind == "frozen" and (parts := backing + services):
        return Fault(at, kind, (chance.choice(parts),), chance.uniform(*FROZEN_SECONDS))
    if kind == "child killed":
        return Fault(at, kind, ("trainer",))
    parts = backing + services
    if not set(turn).intersection(parts):
        turn += chance.sample(parts, len(parts))
    victim = next(part for part in turn if part in parts)
    turn.remove(victim)
    return Fault(at, "killed", (victim,))


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
        """End all faults: resume frozen processes and start stopped parts."""
        for part in list(self._frozen):
            self._resume(part)
        Supervisor(self.run).start(self.run.parts)

    def kills_of(self, part: str) -> list[float]:
        """The time.monotonic() of each kill of a part."""
        return [s.when for s in self.injected if s.fault.kind == "killed" and part in s.fault.parts and not s.missed]

    def table(self) -> str:
        """The number of faults by part and kind."""
        counts = Counter((part, s.fault.kind) for s in self.injected if not s.missed for part in s.fault.parts)
        head = f"{'part':<12}" + "".join(f"{kind:>14}" for kind in WEIGHTS)
        lines = [f"{part:<12}" + "".join(f"{counts[part, k]:>14}" for k in WEIGHTS) for part in self.run.parts]
        missed = sum(bool(s.missed) for s in self.injected)
        return "\n".join([head, *lines, f"{len(self.injected) - missed} faults; {missed} found no process"])

    def _begin(self, fault: Fault, at: float) -> None:
        when, missed = time.monotonic(), ""
        if fault.kind == "stopped":
            Supervisor(self.run).stop(fault.parts)
        else:
            missed = self._inject(fault)
        self.injected.append(InjectedFault(when, fault, missed))
        self.report(f"{at:7.1f} s  {fault}{missed and f': {missed}'}")

    def _end(self, fault: Fault, at: float) -> None:
        if fault.kind == "stopped":
            Supervisor(self.run).start(fault.parts)
        else:
            self._resume(fault.parts[0])
        self.report(f"{at:7.1f} s  {' and '.join(fault.parts)} back")

    def _inject(self, fault: Fault) -> str:
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
