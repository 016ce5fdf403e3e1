"""Which versions of the model keep their artifacts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Artifacts = Literal["present", "aliased", "deleted", "unknown"]
"""Of a version: its artifacts exist; exist and it has an alias; are deleted; or the registry has no such version."""


@dataclass
class Decisions:
    """The versions on which there is a decision, from the decisions in their order."""

    _versions: set[int] = field(default_factory=set)
    _champions: list[int] = field(default_factory=list)
    """The champion and the one before, even if the registry lost their aliases."""
    last: int = 0
    """The sequence number of the last decision."""

    def add(self, decisions: Iterable[tuple[int, int, str]]) -> None:
        """Add decisions: sequence number, version and outcome."""
        for seq, version, outcome in decisions:
            self.last = max(self.last, seq)
            self._versions.add(version)
            if outcome != "rejected":
                self._champions = [*(each for each in self._champions if each != version), version][-2:]

    def beyond(self, keep: int) -> list[int]:
        """The rejected and replaced versions without the `keep` newest, newest first. With 0 none is beyond."""
        return sorted(self._versions.difference(self._champions), reverse=True)[keep:] if keep else []

    def forget_until(self, version: int) -> None:
        """The artifacts of this version and of all before it are deleted."""
        self._versions = {each for each in self._versions if each > version or each in self._champions}

    def forget(self, version: int) -> None:
        """The version has no artifacts any more."""
        self._versions.discard(version)
