"""What a terminal shows after each drawing, in a terminal emulator."""

import io

import pyte
import pytest
from rich.console import Console
from rich.text import Text

from veleta_local.demo.screen import Screen

BLOCK = Text("block one\nblock two")


class Window:
    """A screen that is drawn on an emulated terminal."""

    def __init__(self, columns: int = 30, rows: int = 6) -> None:
        self._file = io.StringIO()
        self._console = Console(file=self._file, force_terminal=True, width=columns, height=rows)
        self._terminal = pyte.HistoryScreen(columns, rows, history=1000)
        self._terminal.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self._terminal)
        self._screen = Screen(self._console)

    def draw(self, *lines: str, block: Text | None = BLOCK) -> None:
        self._screen.draw([Text(line) for line in lines], block)

    def disturb(self) -> None:
        """Another program writes, and the whole screen is drawn again."""
        self._show()
        self._stream.feed("\n[1]+  Stopped\n")
        self._screen.repaint()

    def resize(self, columns: int, rows: int) -> None:
        self._console.size = (columns, rows)
        self._show()
        self._terminal.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen without trailing spaces, and without the empty ones at the end."""
        self._show()
        return "\n".join(line.rstrip() for line in self._terminal.display).rstrip().split("\n")

    @property
    def history(self) -> list[str]:
        """The rows that scrolled out of the screen."""
        self._show()
        rows = ["".join(row[column].data for column in sorted(row)) for row in self._terminal.history.top]
        return [row.rstrip() for row in rows]

    def _show(self) -> None:
        self._stream.feed(self._file.getvalue())
        self._file.seek(0)
        self._file.truncate()


def test_lines_stay_above_the_block() -> None:
    """The block is drawn once, also if its height changes."""
    window = Window()
    window.draw("first")
    window.draw("second", "third")
    assert window.lines == ["first", "second", "third", "block one", "block two"]
    window.draw(block=Text("small"))
    assert window.lines == ["first", "second", "third", "small"]
    window.draw("fourth", block=None)
    assert window.lines == ["first", "second", "third", "fourth"]


def test_lines_scroll_into_the_history_once_and_the_block_never() -> None:
    """The history has each line in its order."""
    window = Window()
    for number in range(10):
        window.draw(f"line {number}")
    assert window.lines == ["line 7", "line 8", "line 9", "block one", "block two"]
    assert window.history == [f"line {number}" for number in range(7)]


def test_a_word_is_not_broken() -> None:
    """A line of many words takes several rows."""
    window = Window(columns=12)
    window.draw("aaaa bbbb cccc", block=None)
    assert window.lines == ["aaaa bbbb", "cccc"]


@pytest.mark.parametrize(("columns", "rows"), [(14, 6), (30, 5), (14, 8), (60, 12), (9, 4)])
def test_a_change_of_the_size_leaves_no_ghost(columns: int, rows: int) -> None:
    """Below the last lines that fit there is one block; what follows is drawn as if the size had always been this."""
    window = Window()
    lines = [f"line {number} of 10" for number in range(10)]
    for line in lines:
        window.draw(line)
    window.resize(columns, rows)
    window.draw()
    window.draw("after")
    fresh = Window(columns, rows)
    fresh.draw(*lines, "after")
    assert window.lines == fresh.lines
    assert window.lines[-2:] == ["block one", "block two"]


def test_a_repainted_screen_shows_nothing_of_another_program() -> None:
    """The shell writes after Ctrl-Z, and fg continues the demo."""
    window = Window()
    window.draw("first")
    window.disturb()
    window.draw()
    assert window.lines == ["first", "block one", "block two"]


def test_of_a_block_that_is_higher_than_the_screen_the_last_rows_are_shown() -> None:
    """They have the addresses."""
    window = Window(rows=4)
    window.draw("line", block=Text("1\n2\n3\n4\n5"))
    assert window.lines == ["3", "4", "5"]
    window.draw(block=Text("1\n2"))
    assert window.lines[-2:] == ["1", "2"]


def test_an_equal_block_is_not_written_again() -> None:
    """A recording of the terminal stays small."""
    window = Window()
    window.draw()
    assert window.lines
    window.draw()
    assert window._file.getvalue() == ""
