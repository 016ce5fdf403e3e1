"""The plan of a storm: which fault happens when, to which part, and for how long. No I/O."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from support.storm.clock import JUMP_SECONDS

Kind = Literal["killed", "child killed", "stopped", "frozen", "disk full", "clock jump", "champion deleted"]
PAUSE_SECONDS = (6.0, 10.0)
"""Seconds from one fault to the next."""
SECONDS: dict[Kind, tuple[float, float]] = {
    "stopped": (3.0, 20.0),
    "frozen": (2.0, 90.0),
    "disk full": (5.0, 40.0),
    "champion deleted": (60.0, 60.0),
}
"""How long a fault lasts: at least and at most."""
RECOVERY_SECONDS = 3.0
"""Seconds without a fault for a part that resumed."""
WEIGHTS: dict[Kind, int] = {
    "killed": 52,
    "child killed": 5,
    "stopped": 17,
    "frozen": 13,
    "disk full": 6,
    "clock jump": 4,
    "champion deleted": 3,
}
DISKS = {
    "inbox": "poller",
    "kafka": "kafka",
    "mysql": "mysql",
    "mlflow": "mlflow",
    "journal": "inference",
    "trainer": "trainer",
}
"""The folders with a disk of their own, and the parts that write to them."""
WITNESSES = ("mlflow", "mysql", "trainer")
"""The parts that have no other fault while the storm waits until the deletion of a champion is shown."""


@dataclass(frozen=True)
class Fault:
    """`at`: seconds since the start of the storm; `seconds`: the duration, 0 for a kill or a jump.

    `what` is the disk that is full; `jump` is how many seconds the clock is set forward.
    """

    at: float
    kind: Kind
    parts: tuple[str, ...] = ()
    seconds: float = 0.0
    what: str = ""
    jump: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "clock jump":
                return f"the clock jumps by {self.jump:+,} s"
            case "disk full":
                return f"the disk of {self.what} is full for {self.seconds:.0f} s"
            case "champion deleted":
                return "the champion is deleted"
        lasting = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{' and '.join(self.parts)} {self.kind}{lasting}"


def plan(seed: int, seconds: float, backing: Sequence[str], services: Sequence[str]) -> list[Fault]:
    """The faults of a storm; the same arguments give the same faults.

    A part that is stopped, frozen or out of disk gets no other fault. Kills visit all parts in turn, each time in
    another order. The clock is two hours ahead, right, or two hours behind.
    """
    return _Planner(random.Random(seed), backing, services).plan(seconds)  # noqa: S311 - a test, no secret


class _Planner:
    """Draws one fault after the other."""

    def __init__(self, chance: random.Random, backing: Sequence[str], services: Sequence[str]) -> None:
        self._chance = chance
        self._backing = backing
        self._services = services
        self._taken: dict[str, float] = {}
        self._turn: list[str] = []
        self._ahead = 0

    def plan(self, seconds: float) -> list[Fault]:
        faults: list[Fault] = []
        at = self._chance.uniform(*PAUSE_SECONDS) / 2
        while at < seconds:
            fault = self._fault(at)
            faults.append(fault)
            if fault.seconds:
                self._taken |= dict.fromkeys(fault.parts, at + fault.seconds + RECOVERY_SECONDS)
            at += self._chance.uniform(*PAUSE_SECONDS)
        return faults

    def _fault(self, at: float) -> Fault:
        kind = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        length = self._chance.uniform(*SECONDS.get(kind, (0.0, 0.0)))
        backing, services = self._free(self._backing, at), self._free(self._services, at)
        free = backing + services
        disks = [disk for disk, part in DISKS.items() if part in free]
        parts: list[str] = []
        match kind:
            case "clock jump":
                return Fault(at, kind, jump=self._jump())
            case "disk full" if disks:
                disk = self._chance.choice(disks)
                return Fault(at, kind, (DISKS[disk],), length, what=disk)
            case "champion deleted" if set(WITNESSES) <= set(free):
                parts = [*WITNESSES]
            case "stopped" if backing:
                parts = self._chance.sample(backing, min(len(backing), self._chance.choice((1, 1, 2))))
            case "frozen" if free:
                parts = [self._chance.choice(free)]
            case _ if kind != "child killed" and free:
                return Fault(at, "killed", (self._victim(free),))
        return Fault(at, kind, tuple(sorted(parts)), length) if parts else Fault(at, "child killed", ("trainer",))

    def _free(self, parts: Sequence[str], at: float) -> list[str]:
        return [part for part in parts if self._taken.get(part, 0) < at]

    def _jump(self) -> int:
        jump = self._chance.choice([each for each in (JUMP_SECONDS, -JUMP_SECONDS) if each != self._ahead])
        self._ahead += jump
        return jump

    def _victim(self, free: list[str]) -> str:
        if not set(self._turn).intersection(free):
            self._turn += self._chance.sample(free, len(free))
        victim = next(part for part in self._turn if part in free)
        self._turn.remove(victim)
        return victim
