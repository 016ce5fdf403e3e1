"""Which row belongs to which batch."""

from collections.abc import Sequence
from math import isfinite

from veleta.dataset import Column, Dataset
from veleta.errors import Stop

Row = dict[str, float | str]
"""A complete row as the API sends it: floats and texts, in the dataset's order of columns."""


class Splitter:
    """Places the lines of one CSV file by the dataset's rules for batches."""

    def __init__(self, dataset: Dataset, header: Sequence[str]) -> None:
        """`header` holds the file's names of columns, in any order.

        Raises:
            Stop: a declared column is missing in the header.
        """
        names = [name.strip() for name in header]
        if missing := [name for name in dataset.names if name not in names]:
            raise Stop(f"the CSV's header lacks: {', '.join(missing)}")
        self._dataset = dataset
        self._cells = [(names.index(name), column) for name, column in dataset.by_name.items()]

    def place(self, cells: Sequence[str]) -> tuple[int, Row] | None:
        """The place of a line's batch, and its row; None when the row is not complete or no rule takes it."""
        row = self._row(cells)
        if row is None:
            return None
        values, rest = self._dataset.convert(row)
        if rest:
            return None
        rules = (rule for rule in self._dataset.source if all(c.holds(values) for c in rule.where))
        rule = next(rules, None)
        return (rule.place, row) if rule else None

    def _row(self, cells: Sequence[str]) -> Row | None:
        row: Row = {}
        for index, column in self._cells:
            value = _value(column, cells[index]) if index < len(cells) else None
            if value is None:
                return None
            row[column.name] = value
        return row


def _value(column: Column, cell: str) -> float | str | None:
    if not cell:
        return None
    if not column.numeric:
        return cell
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None
