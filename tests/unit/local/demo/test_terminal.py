"""The lines of the demo."""

import io
from datetime import UTC, datetime, timedelta

import pyte
import pytest
from rich.console import Console
from rich.text import Text

from veleta_local.demo.event_messages import Message
from veleta_local.demo.message_queue import DELAY
from veleta_local.demo.terminal import Terminal

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
AT = f"{NOON.astimezone():%H:%M:%S}"
LONG = "drift: mean living space 1,935 -> 1,113 (-42.47 %, limit 15 %), and 11 more"


def test_a_pipe_gets_lines_without_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """A long message stays one line; square brackets are no markup; there is no block."""
    terminal = Terminal(Console(), lambda: NOON + DELAY)
    terminal.add(Message(NOON, "batch 1/4", f"refused: [red] {'x ' * 200}", "error"))
    terminal.draw(Text("block"))
    assert capsys.readouterr().out == f"{AT}  batch 1/4       refused: [red] {'x ' * 199}x\n"


def test_messages_of_a_second_ago_still_wait_for_earlier_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """All are printed at the end."""
    terminal = Terminal(Console(), lambda: NOON + timedelta(seconds=1))
    for seconds, subject in ((1, "late"), (0, "early")):
        terminal.add(Message(NOON + timedelta(seconds=seconds), subject, "text"))
        terminal.draw(Text("block"))
    assert capsys.readouterr().out == ""
    terminal.finish()
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["early", "late"]


@pytest.mark.parametrize(
    "text", ["refused: \x1b[2J\nnot JSON", "\x1b[5A\rrefused", "\x9b2J\x07\x08\x08refused", "\x1b]0;refused\x07"]
)
def test_control_characters_of_a_message_do_not_reach_the_terminal(text: str) -> None:
    """A reason can contain the answer of an external API. What was printed stays, and the message is one line."""
    file = io.StringIO()
    terminal = Terminal(Console(file=file, force_terminal=True, width=80, height=10), lambda: NOON)
    for message in ("before", text, "after"):
        terminal.add(Message(NOON, "batch 1/4", message))
    terminal.finish()
    window = pyte.Screen(80, 10)
    window.set_mode(pyte.modes.LNM)
    pyte.Stream(window).feed(file.getvalue())
    before, shown, after = (row.rstrip() for row in window.display if row.strip())
    assert (before, after) == (f"{AT}  batch 1/4       before", f"{AT}  batch 1/4       after")
    assert shown.startswith(f"{AT}  batch 1/4  ")
    assert "refused" in shown
    assert window.title == ""


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (
            80,
            [
                f"{AT}  batch 1/4       drift: mean living space 1,935 -> 1,113 (-42.47 %,",
                "                          limit 15 %), and 11 more",
            ],
        ),
        (120, [f"{AT}  batch 1/4       {LONG}"]),
        (
            40,
            [
                f"{AT}  batch 1/4",
                "  drift: mean living space 1,935 ->",
                "  1,113 (-42.47 %, limit 15 %), and 11",
                "  more",
            ],
        ),
    ],
)
def test_a_long_message_continues_below_its_text(width: int, rows: list[str]) -> None:
    """No word is broken. A narrow terminal has a row for the time and the subject."""
    file = io.StringIO()
    terminal = Terminal(Console(file=file, force_terminal=True, width=width, height=10), lambda: NOON)
    terminal.add(Message(NOON, "batch 1/4", LONG, "warning"))
    terminal.finish()
    window = pyte.Screen(width, 10)
    window.set_mode(pyte.modes.LNM)
    pyte.Stream(window).feed(file.getvalue())
    assert [row.rstrip() for row in window.display if row.strip()] == rows
