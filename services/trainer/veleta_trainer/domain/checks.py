"""The results of the checks of a version: before a person promotes it, and when its training compares it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Check:
    """The result of one check: what it found, in words and as numbers."""

    name: str
    figures: str
    passed: bool
    values: dict[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The name, and whether it passed."""
        return f"{self.name}: {'passed' if self.passed else 'FAILED'}"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.figures}"
