"""Where a row is cleaned: the one function that loader and trainer ask whether a row may be learnt from."""

from veleta.dataset import Dataset, Values


def rejection(dataset: Dataset, values: Values) -> str | None:
    """Why this typed row is not clean, as `<column>: <reason>`; None when it is.

    A row is clean when every column has a value and its numbers lie in the dataset's bounds (both included).
    The first fault in the file's order of columns is the reason, so that each rejected row counts once.
    """
    for name, column in dataset.by_name.items():
        value = values[name]
        if value is None:
            return f"{name}: no value"
        if column.minimum is not None and isinstance(value, float) and value < column.minimum:
            return f"{name}: below {column.minimum:g}"
        if name in dataset.cleaning and isinstance(value, float):
            low, high = dataset.cleaning[name]
            if not low <= value <= high:
                return f"{name}: outside {low:g} .. {high:g}"
    return None
