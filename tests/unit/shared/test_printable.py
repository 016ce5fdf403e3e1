"""Text that a terminal cannot obey."""

import pytest

from veleta.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x08\x00\x7f", r"\x9b2J\x08\x00\x7f"),
        ("paid\rfree", r"paid\rfree"),
        ("\u202eevil\u2066\u200b", r"\u202eevil\u2066\u200b"),
        ("\u2028line", r"\u2028line"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_may_obey_is_escaped(text: str, shown: str) -> None:
    """C0 and C1 controls, carriage returns, overrides of the direction, invisible characters and half pairs."""
    assert printable(text) == shown


def test_other_text_stays() -> None:
    """Letters of all scripts, several lines, tabs and spaces of any width."""
    for text in ("Zürich, 東京", "a\n\tb", "1\u202f234\xa0\N{EURO SIGN}"):
        assert printable(text) == text
