"""Match the names in a file's header with the columns of the dataset."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from veleta.column_names import column_key, match_columns
from veleta.dataset import Column, Dataset
from veleta.input.faults import quoted
from veleta.values import parse_category

MAX_UNMATCHED = 20


@dataclass(frozen=True)
class Header:
    """Where the columns are: `positions` by name, from 0. `width` is the number of cells, `named` without unnamed ones
    at the end.

    `ignored` names the cells that no column matches, and `faults` has a line for each fault.
    """

    positions: Mapping[str, int]
    width: int
    named: int
    ignored: Sequence[str]
    faults: Sequence[str]

    def wrong_width(self, cells: Sequence[object]) -> str:
        """What is wrong with the number of a row's cells, or nothing.

        Cells at the end without a name or a value do not count.
        """
        if len(cells) < self.named:
            return "fewer cells than the header"
        return "" if all(map(is_empty, cells[self.width :])) else "more cells than the header"


def is_empty(cell: object) -> bool:
    """Whether a cell has no value."""
    return cell is None or parse_category(str(cell)) is None


def match_header(dataset: Dataset, cells: Sequence[str], may_lack: Collection[str] = ()) -> Header:
    """Match each column by its name, or else by its title, whatever the case, spaces and hyphens.

    It is no fault if a column that the header `may_lack` is missing.
    """
    found = match_columns(dataset, cells)
    named = max((i + 1 for i, cell in enumerate(cells) if cell.strip()), default=0)
    if not found:
        return Header({}, len(cells), named, [], [_foreign_header(dataset, cells)])
    used = {position for positions in found.values() for position in positions}
    others = {i: cell for i, cell in enumerate(cells) if i not in used}
    faults = [_twice(name, positions) for name, positions in found.items() if len(positions) > 1]
    missing = [column for column in dataset.columns if column.name not in {*found, *may_lack}]
    faults += [_missing(column, others.values()) for column in missing]
    if missing and (unmatched := [quoted(cell) for cell in others.values() if cell.strip()]):
        names = ", ".join(unmatched[:MAX_UNMATCHED]) + (", ..." if len(unmatched) > MAX_UNMATCHED else "")
        faults.append(f"these names of the header match no name and no title of a column: {names}")
    ignored = [quoted(cell) if cell.strip() else f"the one without a name ({i + 1})" for i, cell in others.items()]
    positions = {name: found[name][0] for name in dataset.names if name in found}
    return Header(positions, len(cells), named, ignored, faults)


def _twice(name: str, positions: Sequence[int]) -> str:
    places = " and ".join(str(position + 1) for position in positions)
    return f"column {name} is in the header more than once, at {places}; keep one of them"


def _missing(column: Column, others: Iterable[str]) -> str:
    """The message for a missing column, with the cell whose name is nearest."""
    by_key = {column_key(other): other for other in others if other.strip()}
    near = [
        match
        for name in (column.name, column.title)
        for match in difflib.get_close_matches(column_key(name), by_key, n=1)
    ]
    hint = f"; the nearest name is {quoted(by_key[near[0]])}" if near else ""
    return f"column {column.name} is missing in the header{hint}"


def _foreign_header(dataset: Dataset, cells: Sequence[str]) -> str:
    """The message for a header without one column: perhaps it holds values, or another separator."""
    names, shown = ", ".join(dataset.names), quoted(", ".join(cells[:4]))
    if any(column.convert(cell) is not None for column in dataset.columns if column.numeric for cell in cells):
        return f"the first line has values ({shown}) and no header; add a line with the names {names}"
    separators = "" if len(cells) > 1 else ", separated by commas, semicolons, tabs or |"
    return f"the header {shown} has no column of the dataset; wanted: {names}{separators}"
