"""Assign the rows of a file to batches."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from veleta.dataset import MAX_TEXT, Column, Dataset, Values
from veleta.input.faults import quoted
from veleta.input.header import Header, is_empty
from veleta.input.row_counts import Reason
from veleta.values import DecimalMark, parse_number

Row = dict[str, float | str | bool | None]
"""A row as the API sends it: numbers, texts and booleans, in the dataset's order of columns. None: a missing value."""
Cells = Sequence[object]
"""The cells of a row as the file has them: text, or numbers. None: no value."""


class Assigned(NamedTuple):
    """The place of a row's batch, the row, and the values of optional columns that it does not have."""

    place: int
    row: Row
    gaps: Sequence[Reason]


class BatchAssigner:
    """Assigns the rows of one file to batches by the rules in [[source]] of the dataset file.

    Without rules each row has the place 0.
    """

    def __init__(self, dataset: Dataset, header: Header, marks: Mapping[str, DecimalMark]) -> None:
        """`header` has the position of each column, and `marks` the decimal mark of each numeric one."""
        self._rules = dataset.source
        self._header, self._width = header, header.width
        self._columns = [(header.positions[c.name], c, marks.get(c.name, ".")) for c in dataset.columns]
        self._booleans = [c.name for c in dataset.columns if c.kind == "boolean"]

    def assign(self, cells: Cells) -> Assigned | list[Reason]:
        """The place of the batch and the row, or every reason why the row is left out."""
        if len(cells) != self._width and (reason := self._header.wrong_width(cells)):
            return [Reason(reason, f"{len(cells)} and not {self._width}")]
        values: Values = {}
        reasons: list[Reason] = []
        gaps: list[Reason] = []
        for position, column, mark in self._columns:
            value = column.convert(as_read(column, cells[position]), mark)
            if value is None:
                (gaps if column.optional else reasons).append(_reason(column, cells[position], mark))
            values[column.name] = value
        if reasons:
            return reasons
        for rule in self._rules:
            if all(condition.holds(values) for condition in rule.where):
                return Assigned(rule.place, self._as_sent(values), gaps)
        return [Reason("no batch rule")] if self._rules else Assigned(0, self._as_sent(values), gaps)

    def _as_sent(self, values: Values) -> Row:
        """The row as JSON has it: dates become text, and booleans true or false."""
        row: Row = {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}
        row |= {name: values[name] == "true" for name in self._booleans if values[name] is not None}
        return row


def looks_like_row(dataset: Dataset, header: Header, cells: Cells) -> bool:
    """Whether each cell has a value of its column's kind, or none."""
    return len(cells) == header.width and all(
        is_empty(cells[position]) or dataset.by_name[name].convert(cells[position]) is not None
        for name, position in header.positions.items()
    )


def as_read(column: Column, cell: object) -> object:
    """A column's cell, as text if the column is not numeric: a file with types may have a number for a category."""
    return cell if column.numeric or cell is None or isinstance(cell, str) else str(cell)


def _reason(column: Column, cell: object, mark: DecimalMark) -> Reason:
    if is_empty(cell) or column.says_missing(cell):
        return Reason(f"{column.name} missing", gap=column.name)
    return Reason(f"{column.name} {_fault(column, cell, mark)}", quoted(cell))


def _fault(column: Column, cell: object, mark: DecimalMark) -> str:  # noqa: PLR0911 - one case for each fault
    """What is wrong with a cell that is no value of its column."""
    match column.kind:
        case "category":
            return f"longer than {MAX_TEXT} characters"
        case "date":
            return f"not a date as {date(1999, 9, 30).strftime(column.format) if column.format else '1999-09-30'}"
        case "boolean":
            return "neither true nor false"
        case _ if not mark and column.convert(cell) is not None:
            return "with two meanings"
        case "identifier" if column.digits:
            return f"not a number of up to {column.digits} digits"
        case "identifier":
            return "not a whole number"
        case _ if parse_number(str(cell), mark=mark or ".") is not None:
            return f"not in {column.unit}"
        case _:
            return "not a number"
