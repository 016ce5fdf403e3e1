"""Decides whether a new version becomes the champion."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Decision:
    """An outcome and its reason, for people."""

    outcome: Literal["promoted", "rejected"]
    reason: str


def champion_changed(champion: int | None, current: int) -> Decision:
    """The champion was replaced by hand during the training, so the comparison does not count."""
    measured = f"version {champion}" if champion else "no champion"
    return Decision("rejected", f"it was compared with {measured}, but version {current} is the champion now")


def decide(
    mae: float, champion: int | None, champion_mae: float | None, holdout: int, not_compared: str = ""
) -> Decision:
    """Compare challenger and champion on the same holdout rows. Only a lower MAE (same unit) wins; equal loses.

    `not_compared` is the reason why there is no `champion_mae`.
    """
    if champion is None:
        return Decision("promoted", "there is no champion")
    if champion_mae is None:
        return Decision(
            "promoted", f"version {champion} cannot be evaluated: {not_compared or 'its model was deleted'}"
        )
    comparison = f"MAE {mae:,.0f} against {champion_mae:,.0f} of version {champion} on the same {holdout:,} rows"
    if mae < champion_mae:
        return Decision("promoted", f"better: {comparison}")
    return Decision("rejected", f"not better: {comparison}")
