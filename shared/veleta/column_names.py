"""Matches the names that a file or an API uses with the columns of the dataset."""

import re
from collections.abc import Iterable, Mapping, Sequence

from veleta.dataset import Dataset


def match_columns(dataset: Dataset, names: Sequence[str]) -> dict[str, list[int]]:
    """The positions of the names that match each column, whatever the case, spaces and hyphens.

    First each column's header is compared, to the letter, then all names, and then all titles. A name that matches is
    not compared again. A column without a match is left out.
    """
    plain, keys = [name.strip() for name in names], [column_key(name) for name in names]
    found: dict[str, list[int]] = {}

    def match(cells: Sequence[str], wanted: Mapping[str, Iterable[str]]) -> None:
        used = {position for positions in found.values() for position in positions}
        rest = ["" if position in used else cell for position, cell in enumerate(cells)]
        found.update({name: found.get(name) or _positions(rest, texts) for name, texts in wanted.items()})

    columns = dataset.columns
    match(plain, {c.name: [c.header] for c in columns if c.header})
    match(keys, {c.name: map(column_key, [c.header, c.name, f"{c.name} {c.unit}"]) for c in columns})
    match(keys, {c.name: map(column_key, [c.title, f"{c.title} {c.unit}"]) for c in columns})
    return {name: positions for name, positions in found.items() if positions}


def column_key(name: str) -> str:
    """Letters and digits in lower case: `Zip Code`, `zip-code`, `zipCode` and `ZIP_CODE` are one name."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _positions(cells: Sequence[str], texts: Iterable[str]) -> list[int]:
    wanted = {*texts} - {""}
    return [position for position, cell in enumerate(cells) if cell in wanted]
