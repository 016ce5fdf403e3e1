"""Draws on a terminal: lines that scroll, and below them a block that is redrawn in place."""

import re
from collections import deque
from collections.abc import Sequence

from rich.console import Console, ConsoleDimensions, RenderableType

_HOME, _CLEAR_ROW, _CLEAR_BELOW = "\x1b[H", "\x1b[2K", "\x1b[J"
_TRAILING_SPACES = re.compile(r" +((?:\x1b\[[\d;]*m)*)$")
"""Some terminals wrap them when the window becomes narrower."""
_REMEMBERED = 200
"""Lines that are printed again after a change of the window's size. More fit on no screen."""


class Screen:
    """A terminal. Each drawing is one write, so that no half of it is ever seen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size: ConsoleDimensions | None = console.size
        self._block: list[str] = []
        self._printed: deque[RenderableType] = deque(maxlen=_REMEMBERED)

    def draw(self, lines: Sequence[RenderableType] = (), block: RenderableType | None = None) -> None:
        """Print lines, and replace the block. Without a block only lines are left."""
        self._printed.extend(lines)
        rows = self._rows(block)[-(self._console.height - 1) :] if block else []
        if self._console.size != self._size:
            start, above = _HOME, self._last_rows(self._console.height - 1 - len(rows))
        else:
            start, above = _up(len(self._block)), [row for line in lines for row in self._rows(line)]
        if start == _HOME or above or rows != self._block:
            self._write(start + "".join(f"{_CLEAR_ROW}{row}\n" for row in [*above, *rows]) + _CLEAR_BELOW)
        self._size, self._block = self._console.size, rows

    def repaint(self) -> None:
        """Draw the whole screen next time, because another program wrote to it."""
        self._size = None

    def _last_rows(self, height: int) -> list[str]:
        """The rows of the lines printed last that fit into a height.

        After a change of the size nobody knows which rows the terminal wrapped, cut or moved: all are printed again.
        """
        rows: list[str] = []
        for line in reversed(self._printed):
            rows = [*self._rows(line), *rows]
            if len(rows) >= height:
                break
        return rows[len(rows) - max(0, min(height, len(rows))) :]

    def _rows(self, renderable: RenderableType) -> list[str]:
        with self._console.capture() as capture:
            self._console.print(renderable)
        return [_TRAILING_SPACES.sub(r"\1", row) for row in capture.get().splitlines()]

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


def _up(rows: int) -> str:
    return f"\r\x1b[{rows}A" if rows else "\r"
