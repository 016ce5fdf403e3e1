"""Assign the lines of a CSV file to batches."""

from collections.abc import Sequence
from math import isfinite

from veleta.dataset import Column, Dataset
from veleta.errors import Stop

Row = dict[str, float | str]
"""A complete row as the API sends it: floats and texts, in the dataset's order of columns."""


class BatchAssigner:
    """Assigns lines of one CSV file to batches by the rules in [[source]] of the dataset file."""

    def __init__(self, dataset: Dataset, header: Sequence[str]) -> None:
        """`header` has the column names of the file, in any order. Raises Stop if one of the dataset is missing."""
        if not header:
            raise Stop("the CSV has no header")
        names = [name.strip() for name in header]
        if missing := [name for name in dataset.names if name not in names]:
            raise Stop(f"the CSV's header lacks: {', '.join(missing)}")
        self._dataset = dataset
        self._cells = [(names.index(name), column) for name, column in dataset.by_name.items()]

    def assign(self, cells: Sequence[str]) -> tuple[int, Row] | None:
        """The place of the batch, and the row. None if the row is incomplete or no rule matches."""
        row = self._row(cells)
        if row is None:
            return None
        values, rest = self._dataset.convert(row)
        if rest:
            return None
        matching = (rule for rule in self._dataset.source if all(c.holds(values) for c in rule.where))
        rule = next(matching, None)
        return (rule.place, row) if rule else None

    def _row(self, cells: Sequence[str]) -> Row | None:
        row: Row = {}
        for index, column in self._cells:
            value = _parse_cell(column, cells[index]) if index < len(cells) else None
            if value is None:
                return None
            row[column.name] = value
        return row


def _parse_cell(column: Column, cell: str) -> float | str | None:
    if not cell:
        return None
    if not column.numeric:
        return cell
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None
