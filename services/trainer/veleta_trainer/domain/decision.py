"""Decides by the dataset's policy whether a new version becomes the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from veleta.dataset import Policy
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.gates import CHANCE, COVERED, EXAMPLE, LATEST, MAE, SLICES, mae_gate

REFUSALS = {
    EXAMPLE: "failed the smoke check",
    MAE: "not better",
    CHANCE: "not proven",
    SLICES: "worse in a slice",
    LATEST: "worse now",
    COVERED: "wrong coverage",
}
"""By gate: how the reason of a rejection begins."""


@dataclass(frozen=True)
class Decision:
    """An outcome and its reason, for people."""

    outcome: Literal["promoted", "rejected"]
    reason: str


@dataclass(frozen=True)
class Challenge:
    """What is known of a version when it is decided on.

    `champion` is the version that it was compared with, and `not_compared` why it was not. `best` is the version with
    the highest logged accuracy and that accuracy.
    """

    version: int
    champion: int | None
    gates: Sequence[Check]
    not_compared: str
    best: tuple[int, float] | None

    def gate(self, name: str) -> Check | None:
        """The gate with this name, if it was evaluated."""
        return next((gate for gate in self.gates if gate.name == name), None)


def gates_of_metrics(metrics: Mapping[str, float], champion: int | None) -> list[Check]:
    """What the metrics of a run of an earlier release, which has no gates, say of its champion, a version."""
    if "champion_mae" not in metrics:
        return []
    return [mae_gate(metrics["mae"], metrics["champion_mae"], int(metrics["holdout_rows"]), champion)]


def champion_changed(champion: int | None, current: int) -> Decision:
    """The champion was replaced by hand during the training, so the comparison does not count."""
    measured = f"version {champion}" if champion else "no champion"
    return Decision("rejected", f"it was compared with {measured}, but version {current} is the champion now")


def decide(policy: Policy, challenge: Challenge) -> Decision:
    """The decision. No policy promotes a version that fails the smoke check."""
    example = challenge.gate(EXAMPLE)
    if example and not example.passed:
        return _refused(example)
    if policy == "manual":
        return Decision("rejected", f"the policy is manual: it waits for `make promote VERSION={challenge.version}`")
    return _by_accuracy(challenge) if policy == "seed" else _by_gates(challenge)


def _by_accuracy(challenge: Challenge) -> Decision:
    """The rule of the original course project: the highest logged accuracy of all versions, whatever their holdouts."""
    if challenge.best is None or challenge.best[0] == challenge.version:
        return Decision("promoted", "its logged accuracy is the highest of all versions")
    version, accuracy = challenge.best
    return Decision("rejected", f"version {version} has the highest logged accuracy of all versions: {accuracy:.4f}")


def _by_gates(challenge: Challenge) -> Decision:
    """The champion stays unless the challenger passes all gates."""
    champion, mae = challenge.champion, challenge.gate(MAE)
    if champion is None:
        return Decision("promoted", "there is no champion")
    if mae is None:
        reason = challenge.not_compared or "its model was deleted"
        return Decision("promoted", f"version {champion} cannot be evaluated: {reason}")
    if refused := next((gate for gate in challenge.gates if not gate.passed), None):
        return _refused(refused)
    return Decision("promoted", f"better: {mae.figures}")


def _refused(gate: Check) -> Decision:
    return Decision("rejected", f"{REFUSALS[gate.name]}: {gate.figures}")
