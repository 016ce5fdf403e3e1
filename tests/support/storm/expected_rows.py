"""The expected cleaning and verdicts, computed from the dataset file without the code under test."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from veleta.dataset import Dataset

THRESHOLD = 0.15
STATISTICS = ["mean", "std", "50%", "75%"]
Row = Mapping[str, Any]


def canonical(row: Row) -> str:
    """A row as text, independent of the order of its values; missing values are left out."""
    values = {k: float(v) if isinstance(v, int) else v for k, v in row.items() if v is not None}
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def clean_numbers(dataset: Dataset, rows: Sequence[Row]) -> list[int]:
    """The indexes of the rows with a value of the right kind in every column and all numbers within their bounds."""
    frame = pd.DataFrame(list(rows), columns=dataset.names)
    good = pd.Series(data=True, index=frame.index)
    for column in dataset.columns:
        values = frame[column.name]
        if column.numeric:
            numbers = pd.to_numeric(values, errors="coerce")
            low, high = dataset.cleaning.get(column.name, (float("-inf"), float("inf")))
            least = max(low, column.minimum if column.minimum is not None else low)
            good &= numbers.between(least, high)
        elif column.kind == "date":
            good &= pd.to_datetime(values, format="%Y-%m-%d", errors="coerce").notna()
        else:
            good &= values.notna()
    return [number for number, holds in enumerate(good) if holds]


def verdict(dataset: Dataset, old: Sequence[Row] | None, new: Sequence[Row]) -> str:
    """The 15 % rule with pandas' `describe()`. `old` is the previous complete batch of the epoch, if any."""
    if old is None:
        return "not enough data"
    before, now = (_statistics(dataset, rows) for rows in (old, new))
    change = (now - before).abs() / before.abs()
    if (change > THRESHOLD).any(axis=None):
        return "drift"
    return "not enough data" if change.isna().all(axis=None) else "no drift"


def _statistics(dataset: Dataset, rows: Sequence[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=dataset.names)[dataset.drift_columns]
    numbers: pd.DataFrame = frame.apply(pd.to_numeric, errors="coerce").astype("float64").describe()
    return numbers.loc[STATISTICS]
