"""Find the decimal mark of each numeric column: in some files `1,234` is one thousand, in others it is 1.234."""

from collections.abc import Iterable, Mapping, Sequence

from veleta.dataset import Dataset
from veleta.values import DecimalMark, decimal_mark


def find_decimal_marks(
    dataset: Dataset, positions: Mapping[str, int], rows: Iterable[Sequence[object]]
) -> dict[str, DecimalMark]:
    """The decimal mark of each numeric column, by the numbers in these rows that have one meaning.

    A column with both marks has the mark `""`. A column with neither has that of the file, which is `.` unless the
    other columns show only `,`. One without a position is left out.
    """
    columns = [(positions[c.name], c) for c in dataset.columns if c.numeric and c.name in positions]
    shown: dict[str, set[DecimalMark]] = {column.name: set() for _, column in columns}
    for cells in rows:
        for position, column in columns:
            cell = cells[position] if position < len(cells) else None
            if isinstance(cell, str) and _may_show_another(cell, shown[column.name]):
                shown[column.name].add(decimal_mark(cell, column.unit))
    for marks in shown.values():
        marks.discard("")
    of_file: DecimalMark = "," if set().union(*shown.values()) == {","} else "."
    return {name: _decide(marks, of_file) for name, marks in shown.items()}


def _may_show_another(cell: str, shown: set[DecimalMark]) -> bool:
    """Whether the cell may show a mark that its column has not shown. It keeps the search fast."""
    return "," in cell or cell.count(".") > 1 or ("." in cell and "." not in shown)


def _decide(marks: set[DecimalMark], of_file: DecimalMark) -> DecimalMark:
    if not marks:
        return of_file
    return marks.pop() if len(marks) == 1 else ""
