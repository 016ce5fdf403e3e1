"""Which versions of the model keep their artifacts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Artifacts = Literal["present", "aliased", "deleted", "unknown"]
"""Of a version: its artifacts exist; exist and it has an alias; are deleted; or the registry has no such version."""


@dataclass
class Decisions:
    """The versions that were only ever rejected, from the decisions in their order."""

    _rejected: set[int] = field(default_factory=set)
    _promoted: set[int] = field(default_factory=set)
    last: int = 0
    """The sequence number of the last decision."""

    def add(self, decisions: Iterable[tuple[int, int, str]]) -> None:
        """Add decisions: sequence number, version and outcome."""
        for seq, version, outcome in decisions:
            self.last = max(self.last, seq)
            (self._rejected if outcome == "rejected" else self._promoted).add(version)
        self._rejected -= self._promoted

    def beyond(self, keep: int) -> list[int]:
        """The rejected versions without the `keep` newest, newest first. With 0 none is beyond."""
        return sorted(self._rejected, reverse=True)[keep:] if keep else []

    def forget_until(self, version: int) -> None:
        """The artifacts of this version and of all before it are deleted."""
        self._rejected = {each for each in self._rejected if each > version}

    def forget(self, version: int) -> None:
        """The version has no artifacts any more."""
        self._rejected.discard(version)
