"""Whether a new version becomes the champion."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Decision:
    """What was decided, and why, for a person."""

    outcome: Literal["promoted", "rejected"]
    reason: str


def overtaken(champion: int | None, found: int) -> Decision:
    """The champion was exchanged by hand in the meantime: what was measured says nothing of the new one."""
    measured = f"version {champion}" if champion else "no champion"
    return Decision("rejected", f"it was measured against {measured}, then version {found} became the champion")


def decide(mae: float, champion: int | None, champion_mae: float | None, holdout: int) -> Decision:
    """Champion and challenger on the same holdout of so many rows: only a lower MAE (same unit) wins; equal loses."""
    if champion is None:
        return Decision("promoted", "the first version")
    if champion_mae is None:
        return Decision("promoted", f"version {champion} cannot be asked any more: deleted, or of other features")
    compared = f"MAE {mae:,.0f} against {champion_mae:,.0f} of version {champion} on the same {holdout:,} rows"
    if mae < champion_mae:
        return Decision("promoted", f"better: {compared}")
    return Decision("rejected", f"not better: {compared}")
