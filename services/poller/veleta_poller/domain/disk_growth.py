"""When a disk will be full, by how its free space changed."""

import math
from collections import deque
from dataclasses import dataclass, field

DAY = 86_400.0
SAMPLES = 720
"""The samples that count: with one every 5 s, the last hour."""


@dataclass
class DiskGrowth:
    """The free space of one disk over the last hour."""

    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def add(self, seconds: float, free: int) -> None:
        """Add a sample: a time that only grows, and the free bytes then."""
        self._samples.append((seconds, free))

    @property
    def days_until_full(self) -> float:
        """Days until no byte is free at the present rate; infinite if the free space does not shrink."""
        (first, before), (last, free) = self._samples[0], self._samples[-1]
        used = before - free
        return free / used * (last - first) / DAY if used > 0 else math.inf
