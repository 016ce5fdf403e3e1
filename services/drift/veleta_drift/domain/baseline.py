"""What a batch is compared with: for each statistic, the last batch that has it."""

import math
from collections.abc import Iterable

from veleta.dataset import Dataset
from veleta.events.catalogue import Baseline, Reference
from veleta_drift.domain.statistics import BatchSummary

MAX_LOOKBACK = 20
"""How far back a batch is compared: with this batch number before it at the earliest."""


def next_baseline(dataset: Dataset, before: Baseline | None, number: int, batch: BatchSummary) -> Baseline:
    """The baseline after a batch: its own statistics, and the earlier ones of those that it does not have."""
    own = {
        (column, statistic): Reference(column=column, statistic=statistic, value=value, number=number)
        for (column, statistic), value in batch.statistics.items()
        if math.isfinite(value)
    }
    earlier = [
        each
        for each in (before.statistics if before else [])
        if (each.column, each.statistic) not in own and number - each.number < MAX_LOOKBACK
    ]
    return Baseline(
        number=number,
        dataset_digest=dataset.digest,
        rows=batch.rows,
        values=batch.values,
        statistics=[*own.values(), *earlier],
    )


def is_complete(batches: Iterable[BatchSummary]) -> bool:
    """Whether one of these batches, at least, has each statistic."""
    found = [{key for key, value in batch.statistics.items() if math.isfinite(value)} for batch in batches]
    return any(set().union(*found) == set(batch.statistics) for batch in batches)


def kept_baseline(before: Baseline | None, number: int) -> Baseline | None:
    """The baseline after batch `number`, whose rows cannot be read: that before it, unless it is too old."""
    return before if before and number - before.number < MAX_LOOKBACK else None
