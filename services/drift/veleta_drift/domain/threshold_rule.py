"""The drift rule of the seed: a change above 15 % in one statistic is drift. The 15 % is defined here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veleta.dataset import Dataset
from veleta.drift_sentences import INFINITE, statistic_sentence
from veleta.events.catalogue import Statistic, Verdict
from veleta_drift.domain.statistics import Statistics

POLICY = "seed"
THRESHOLD = 0.15
"""A relative change above this of any statistic is drift."""
LIMIT = f"{100 * THRESHOLD:g} %"


@dataclass(frozen=True)
class Assessment:
    """The verdict, its reason for a person, every statistic that was compared, and findings that decide nothing."""

    verdict: Verdict
    reason: str
    statistics: Sequence[Statistic] = ()
    findings: Sequence[str] = ()


def compare(
    dataset: Dataset, old: Statistics, new: Statistics, earlier: Mapping[tuple[str, str], int] | None = None
) -> Assessment:
    """The verdict on the statistics of a batch and those before it.

    change = |new - old| / |old|, unsigned; drift if any change is above the threshold. An infinite change (from 0)
    is above it. A change that is not a number (0 to 0, or too few values) is not, as in pandas.

    `earlier` has the numbers of the batches that old statistics are of, if they are not of the last one.
    """
    numbers = earlier or {}
    compared = [_statistic(*key, old[key], value, numbers.get(key)) for key, value in new.items()]
    above = [each for each in compared if each.exceeds]
    if above:
        return Assessment("drift", _reason(dataset, above), compared)
    if all(each.change is None for each in compared):
        return Assessment("not enough data", _nothing_to_compare(compared), compared)
    return Assessment("no drift", f"no statistic changed by more than {LIMIT}", compared)


def _nothing_to_compare(compared: list[Statistic]) -> str:
    """Why no statistic has a change."""
    if all(each.new is None for each in compared):
        return "no statistic can be compared: this batch has no number in the compared columns"
    if all(each.old is None for each in compared):
        return "no statistic can be compared: no batch before has a number in the compared columns"
    return "no statistic can be compared"


def _statistic(column: str, name: str, old: float, new: float, previous: int | None) -> Statistic:
    change = _relative_change(old, new)
    return Statistic(
        column=column,
        statistic=name,
        old=_finite(old),
        new=_finite(new),
        change=_finite(change),
        exceeds=change > THRESHOLD,
        note="" if math.isfinite(change) else INFINITE if math.isinf(change) else "not a number",
        previous=previous,
    )


def _relative_change(old: float, new: float) -> float:
    difference = abs(new - old)
    if old == 0:
        return math.inf if difference > 0 else math.nan
    return difference / abs(old)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reason(dataset: Dataset, above: list[Statistic]) -> str:
    """The greatest change in words: `median bathrooms 2 -> 3 (+50 %, limit 15 %), and 18 more`."""
    greatest = max(above, key=lambda each: math.inf if each.change is None else each.change)
    more = f", and {len(above) - 1} more" if len(above) > 1 else ""
    return f"{statistic_sentence(dataset, greatest, THRESHOLD)}{more}"
