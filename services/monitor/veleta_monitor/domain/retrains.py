"""Whether trainings helped: each champion was compared with the version that it replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from veleta_monitor.domain.formatting import format_number
from veleta_monitor.domain.table import Tone
from veleta_monitor.domain.versions import ServedModel

RETRAIN_TONES: Mapping[str, Tone] = {"helped": "good", "no difference": "neutral", "harmed": "bad"}


@dataclass(frozen=True)
class JudgedRetrain:
    """A version that was compared with the one that it replaced, on `batches` batches, of which `batch` is the last.

    `change` is that of the MAE.
    """

    version: int
    previous: int
    batch: str
    verdict: str
    change: float
    judged_at: datetime | None = None
    batches: int = 1

    @property
    def summary(self) -> str:
        """`helped: MAE -3.2 % on batch 2/3`."""
        return f"{self.verdict}: MAE {100 * self.change:+.3g} % on {self.rows}"

    @property
    def rows(self) -> str:
        """`batch 2/3`, or `6 batches up to 2/5`."""
        return f"{self.batches} batches up to {self.batch}" if self.batches > 1 else f"batch {self.batch}"


def rollback_notice(retrains: Sequence[JudgedRetrain], model: ServedModel | None) -> str:
    """The proposal to return to the version that the served one replaced. Empty if there is none.

    A comparison from before the version's last promotion was with another version than `make rollback` returns to.
    """
    judged = next((each for each in retrains if model and each.version == model.version), None)
    if judged is None or model is None or judged.verdict != "harmed":
        return ""
    if model.promoted_at and judged.judged_at and judged.judged_at < model.promoted_at:
        return ""
    return f"{proposal(judged)} To go back: make rollback REASON=..."


def proposal(judged: JudgedRetrain) -> str:
    """What was found of a version that predicts worse."""
    older = f"version {judged.previous}, which it replaced"
    figures = f"MAE {100 * judged.change:+.3g} %, beyond chance"
    return f"Version {judged.version} predicts {judged.rows} worse than {older} ({figures})."


def retrains_sentence(counts: Mapping[str, int]) -> str:
    """`9 of 12 retrains helped (75 %), 2 made no difference, 1 harmed.` Empty before the first verdict."""
    total, helped = sum(counts.values()), counts.get("helped", 0)
    if not total:
        return ""
    others = [
        f"{format_number(counts[verdict])} {words}"
        for verdict, words in (("no difference", "made no difference"), ("harmed", "harmed"))
        if counts.get(verdict)
    ]
    share = f"{format_number(helped)} of {format_number(total)} retrains helped ({100 * helped / total:.0f} %)"
    return f"{', '.join([share, *others])}."
