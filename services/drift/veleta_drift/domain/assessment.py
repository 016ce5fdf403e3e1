"""The verdict on a batch: the 15 % rule, and the columns that lost their values. The volume is only a finding."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from veleta.dataset import Dataset
from veleta.events.catalogue import Baseline
from veleta_drift.domain.statistics import BatchSummary
from veleta_drift.domain.threshold_rule import Assessment, compare

MIN_LOSS = Fraction(9, 10)
"""A column that lost this share of its values, or more, is a reason for drift."""
MAX_COLUMNS = 5
"""How many columns a reason lists. The others are counted."""


def assess(dataset: Dataset, before: Baseline, batch: BatchSummary) -> Assessment:
    """The verdict on a batch that is compared with the baseline before it."""
    old = dict.fromkeys(batch.statistics, math.nan)
    old |= {(each.column, each.statistic): each.value for each in before.statistics}
    earlier = {(r.column, r.statistic): r.number for r in before.statistics if r.number != before.number}
    compared = compare(dataset, old, batch.statistics, earlier)
    findings = _volume(before, batch)
    if not (lost := _lost_values(before, batch)):
        return replace(compared, findings=findings)
    reasons = [lost, *([compared.reason] if compared.verdict == "drift" else [])]
    return Assessment("drift", "; ".join(reasons), compared.statistics, findings)


def _lost_values(before: Baseline, batch: BatchSummary) -> str:
    """`house_size lost 94 % of its values, bed lost 90 % of its values`. Empty if no column lost so many."""
    losses = {name: _loss(before, batch, name) for name in batch.values}
    lost = sorted((name for name, loss in losses.items() if loss >= MIN_LOSS), key=lambda name: -losses[name])
    texts = [f"{name} lost {math.floor(100 * losses[name])} % of its values" for name in lost[:MAX_COLUMNS]]
    more = [f"and {len(lost) - MAX_COLUMNS} more columns"] if len(lost) > MAX_COLUMNS else []
    return ", ".join([*texts, *more])


def _loss(before: Baseline, batch: BatchSummary, column: str) -> Fraction:
    """By which part the share of rows with a value decreased. Negative if it increased."""
    old = before.values.get(column)
    if not old or not batch.rows:
        return Fraction(0)
    return 1 - Fraction(batch.values[column] * before.rows, old * batch.rows)


def _volume(before: Baseline, batch: BatchSummary) -> Sequence[str]:
    """A finding if the batch has half of the rows of the last one, or less."""
    if not before.rows or 2 * batch.rows > before.rows:
        return ()
    share = f"{100 * batch.rows / before.rows:.3g} %"
    return (f"volume: {batch.rows:,} rows, {share} of the {before.rows:,} rows of batch {before.number}",)
