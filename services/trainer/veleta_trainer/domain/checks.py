"""The results of the checks of a version that a person wants to promote."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The result of one check, with what it found."""

    name: str
    figures: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.name}: {'passed' if self.passed else 'FAILED'}: {self.figures}"
