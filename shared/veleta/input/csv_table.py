"""Read the rows of a CSV file. Find what would lose rows: another encoding, and quotes that never close."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from veleta.input.faults import FaultyInput, quoted

SEPARATORS = ",;\t|"
MAX_LINE = 1 << 20
"""The most characters of a line, so that a file without line ends does not fill the memory."""
_parse = partial(csv.reader, strict=True, skipinitialspace=True)
_UNDECODED = re.compile("[\udc80-\udcff]")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


class CsvTable:
    """The rows of one CSV file. `header` has its names; `faults` are those found so far."""

    noun = "line"

    def __init__(self, path: Path, text: TextIO, count_columns: Callable[[Sequence[str]], int]) -> None:
        """`count_columns` counts the names of columns in the cells of a header. Raises FaultyInput."""
        self._lines = _Lines(path, text)
        self._path = path
        first = self._next_line()
        if declared := _SEPARATOR_LINE.fullmatch(first.strip()):
            self._separator, first = declared[1], self._next_line()
        else:
            self._separator = _find_separator(path, first, count_columns)
        self._first_number = self._lines.number
        self._lines.record[:] = [first]
        self._reader = _parse(chain([first], self._lines), delimiter=self._separator)
        try:
            self.header = next(self._reader)
        except csv.Error as error:
            cells = self._repaired()
            if cells is None:
                fault = f"line {self._first_number}: the header has a malformed quote: {error}"
                raise FaultyInput(path, [fault]) from error
            self.header = cells

    @property
    def characters(self) -> int:
        """How many characters were read."""
        return self._lines.characters

    @property
    def faults(self) -> list[str]:
        """The faults of the lines that were read."""
        return self._lines.faults()

    def rows(self, is_row: Callable[[Sequence[object]], bool]) -> Iterator[tuple[int, Sequence[object] | None]]:
        """The number of the line and the cells of each row. None: its quotes are malformed.

        `is_row` decides whether cells look like a row.

        Raises:
            FaultyInput: a quote that does not close swallows rows.
        """
        while True:
            self._lines.record.clear()
            number = self._reader.line_num + self._first_number
            cells: list[str] | None
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = self._repaired()
                self._require_closed_quotes(number, is_row, at_end="end of data" in str(error))
            else:
                if len(self._lines.record) > 1:
                    self._require_closed_quotes(number, is_row)
            if cells is None or any(cells) or len(cells) > 1:
                yield number, cells

    def _repaired(self) -> list[str] | None:
        """The cells of a line that has spaces between a quote and a separator. None if that is not its only fault."""
        if len(self._lines.record) > 1:
            return None
        line = re.sub(rf'" +(?={re.escape(self._separator)}|$)', '"', self._lines.record[0].rstrip())
        try:
            return next(_parse([line], delimiter=self._separator))
        except csv.Error:
            return None

    def _require_closed_quotes(
        self, number: int, is_row: Callable[[Sequence[object]], bool], *, at_end: bool = False
    ) -> None:
        """A cell may have line ends. But if several lines of one row look like rows, its quote was never closed."""
        lines = (line.rstrip("\r\n").replace('"', "").split(self._separator) for line in self._lines.record)
        if at_end or sum(map(is_row, lines)) > 1:
            last = self._lines.number
            raise FaultyInput(
                self._path,
                [f'line {number}: a quote (") is opened and not closed; it swallows the lines up to {last}'],
            )

    def _next_line(self) -> str:
        """The next line that is not blank."""
        for line in self._lines:
            if line.strip():
                return line
        raise FaultyInput(self._path, ["has no header and no rows"])


class _Lines:
    """The lines of a text. It counts them and finds those that are not UTF-8 or have NUL bytes."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self.number = 0
        self.characters = 0
        self.record: list[str] = []
        """The lines since it was cleared."""
        self._path = path
        self._text = text
        self._found: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_LINE):
            self.number += 1
            self.characters += len(line)
            if len(line) == MAX_LINE:
                raise FaultyInput(self._path, [f"line {self.number}: has more than {MAX_LINE:,} characters"])
            if not line.isascii() and (undecoded := _UNDECODED.search(line)):
                byte = ord(undecoded[0]) - 0xDC00
                self._add("not UTF-8; save it as UTF-8", f"byte 0x{byte:02X}", undecoded.start())
            if "\0" in line:
                self._add(
                    "binary, or UTF-16 without a byte order mark; save it as UTF-8", "a NUL byte", line.index("\0")
                )
            self.record.append(line)
            yield line

    def faults(self) -> list[str]:
        """A message for each kind of fault, with the place of the first one."""
        return [
            f"{place}: the file is {kind}"
            + (f" ({self._counts[kind]:,} such lines so far)" if self._counts[kind] > 1 else "")
            for kind, place in self._found.items()
        ]

    def _add(self, kind: str, seen: str, position: int) -> None:
        self._found.setdefault(kind, f"line {self.number}, {seen} at column {position + 1}")
        self._counts[kind] = self._counts.get(kind, 0) + 1


def _find_separator(path: Path, line: str, count_columns: Callable[[Sequence[str]], int]) -> str:
    """The separator with which the header has the most columns; without columns, the one with the most cells."""
    cells = {separator: next(csv.reader([line], delimiter=separator)) for separator in SEPARATORS}
    scores = {separator: (count_columns(found), len(found)) for separator, found in cells.items()}
    best = max(scores.values())
    candidates = [separator for separator, score in scores.items() if score == best]
    if len(candidates) > 1 and best[1] > 1:
        shown = " or ".join(map(repr, candidates))
        raise FaultyInput(path, [f"line 1: the separator may be {shown} in {quoted(line)}; use one"])
    return candidates[0]
