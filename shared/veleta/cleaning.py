"""The cleaning rule: which rows may be used for training. Loader and trainer use the same function."""

from veleta.dataset import Dataset, Values


def column_of(reason: str) -> str:
    """The column of a reason that `rejection` gave."""
    return reason.partition(":")[0]


def rejection(dataset: Dataset, values: Values) -> str | None:
    """Why this typed row is not clean, as `<column>: <reason>`. None if it is clean.

    A row is clean if every column that is not optional has a value, and its numbers and dates are within their bounds
    (both included). A value of an optional column that does not fit counts as missing.
    Columns are checked in the file's order and the first fault is the reason, so each rejected row counts once.
    """
    for name, column in dataset.by_name.items():
        value = values[name]
        if value is None:
            if column.optional:
                continue
            return f"{name}: no value"
        if fault := column.fault(value):
            return f"{name}: {fault}"
        if name in dataset.cleaning and isinstance(value, float):
            low, high = dataset.cleaning[name]
            if not low <= value <= high:
                return f"{name}: outside {low:g} .. {high:g}"
    return None
