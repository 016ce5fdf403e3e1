"""The seed's rule: this is where the 15 % stands."""

import math
from dataclasses import dataclass

from veleta.events.catalogue import Statistic, Verdict
from veleta_drift.domain.figures import Figures

POLICY = "seed"
THRESHOLD = 0.15
"""Above this relative change of any figure a retraining is asked for."""


@dataclass(frozen=True)
class Assessment:
    """The verdict, its reason for a person, and every figure it rests on."""

    verdict: Verdict
    reason: str
    figures: list[Statistic]


def compare(old: Figures, new: Figures) -> Assessment:
    """The verdict on two batches' figures.

    change = |new - old| / |old|, unsigned; drift when any change is above the threshold. An infinite change (from 0)
    counts as above it, one that is not a number (0 to 0, or too few values) does not, as in pandas.
    """
    figures = [_figure(column, statistic, old[column, statistic], value) for (column, statistic), value in new.items()]
    above = [f for f in figures if f.exceeds]
    if above:
        return Assessment("drift", _reason(above), figures)
    if all(f.change is None for f in figures):
        return Assessment("not enough data", "no figure can be compared", figures)
    return Assessment("no drift", f"no change above {THRESHOLD:g}", figures)


def _figure(column: str, statistic: str, old: float, new: float) -> Statistic:
    change = _relative_change(old, new)
    return Statistic(
        column=column,
        statistic=statistic,
        old=_finite(old),
        new=_finite(new),
        change=_finite(change),
        exceeds=change > THRESHOLD,
        note="" if math.isfinite(change) else "infinite" if math.isinf(change) else "not a number",
    )


def _relative_change(old: float, new: float) -> float:
    difference = abs(new - old)
    if old == 0:
        return math.inf if difference > 0 else math.nan
    return difference / abs(old)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reason(above: list[Statistic]) -> str:
    greatest = max(above, key=lambda f: math.inf if f.change is None else f.change)
    change = "infinitely" if greatest.change is None else f"by {greatest.change:.3g}"
    others = f", and {len(above) - 1} more" if len(above) > 1 else ""
    return f"{greatest.column} {greatest.statistic} changed {change} (more than {THRESHOLD:g}){others}"
