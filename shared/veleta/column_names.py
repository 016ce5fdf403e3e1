"""Matches the names that a file or an API uses with the columns of the dataset."""

import re
from collections.abc import Iterable, Sequence

from veleta.dataset import Dataset


def match_columns(dataset: Dataset, names: Sequence[str]) -> dict[str, list[int]]:
    """The positions of the names that match each column, whatever the case, spaces and hyphens.

    Titles are compared if no name matches the column's own. A column without a match is left out.
    """
    keys = [column_key(name) for name in names]
    found = {column.name: _positions(keys, [column.name, f"{column.name} {column.unit}"]) for column in dataset.columns}
    used = {position for positions in found.values() for position in positions}
    rest = ["" if position in used else key for position, key in enumerate(keys)]
    for column in dataset.columns:
        found[column.name] = found[column.name] or _positions(rest, [column.title, f"{column.title} {column.unit}"])
    return {name: positions for name, positions in found.items() if positions}


def column_key(name: str) -> str:
    """Letters and digits in lower case: `Zip Code`, `zip-code`, `zipCode` and `ZIP_CODE` are one name."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _positions(keys: Sequence[str], names: Iterable[str]) -> list[int]:
    wanted = {column_key(name) for name in names} - {""}
    return [position for position, key in enumerate(keys) if key in wanted]
