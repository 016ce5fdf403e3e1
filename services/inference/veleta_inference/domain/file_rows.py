"""Reads the rows of a file as /predict reads items: the same values, and the same words about wrong ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from veleta.dataset import Column, Dataset, Value, Values
from veleta.input.batch_assignment import Cells, as_read
from veleta.input.header import is_empty
from veleta.values import DecimalMark, parse_date
from veleta_inference.domain.errors import InvalidRequest, ValidationProblem
from veleta_inference.domain.messages import shown
from veleta_inference.domain.requests import RequestReader


@dataclass(frozen=True)
class Layout:
    """Where the inputs are in the rows of a file, and the decimal mark of each numeric one.

    `as_of` is the position of the day whose prices a row asks for, if the file has one.
    """

    positions: Mapping[str, int]
    marks: Mapping[str, DecimalMark]
    as_of: int | None = None


class FileRowReader:
    """Reads rows whose cells are text, or values with types. An empty cell is a field that was left out."""

    def __init__(self, dataset: Dataset, layout: Layout) -> None:
        """A column without a position has no value in any row. The target is not read: /predict does not use it."""
        self._requests = RequestReader(dataset, limit=1)
        self._absent: Values = dict.fromkeys(dataset.names)
        self._columns = [
            (layout.positions[c.name], c, layout.marks.get(c.name, "."))
            for c in dataset.inputs
            if c.name in layout.positions
        ]
        self._as_of = layout.as_of

    def read(self, place: int, cells: Cells) -> Values:
        """The typed row.

        Raises:
            InvalidRequest: it lists all problems, as those of the item at `place`.
        """
        values, problems = self._absent.copy(), list[ValidationProblem]()
        for position, column, mark in self._columns:
            value = column.convert(as_read(column, cells[position]), mark)
            if (value is None or _is_too_small(column, value)) and (
                message := self._problem(column, cells[position], mark)
            ):
                problems.append(ValidationProblem(place, column.name, message))
            values[column.name] = value
        if problems:
            raise InvalidRequest("see `errors`", problems)
        return values

    def as_of(self, cells: Cells) -> object:
        """The day whose prices a row asks for, or what is no day. None: the newest day of the market."""
        if self._as_of is None or is_empty(cell := cells[self._as_of]):
            return None
        return (parse_date(cell) if isinstance(cell, str) else None) or cell

    def _problem(self, column: Column, cell: object, mark: DecimalMark) -> str | None:
        """What is wrong with a cell that is empty, or no value of its column. None if the column may lack a value."""
        if is_empty(cell):
            return "is required" if column.required else None
        read = as_read(column, cell)
        if not mark and isinstance(read, str) and column.convert(read, mark) is None is not column.convert(read):
            return f"{shown(cell)} has two meanings: the column has both decimal commas and decimal points"
        value = column.convert(read, mark)
        return self._requests.value_problem(column.name, read if value is None else value)


def _is_too_small(column: Column, value: Value) -> bool:
    return column.minimum is not None and isinstance(value, float) and value < column.minimum
