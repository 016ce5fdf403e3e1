"""The comparison of the tutorial with an output: what it accepts, and what it does not."""

import pytest

from support.tutorial import lines_missing, matches, steps


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("took 1.5 s", "took 20 s", True),
        ("id 01a21be2-fd12-7281-82bf-f264a49e0b22", "id 0ff21be2-ad12-7281-82bf-f264a49e0b22", True),
        ("id abcdefab-cdef-7281-82bf-f264a49e0b22", "id 0ff21be2-ad12-7281-82bf-f264a49e0b22", True),
        ("run dbf9d6b2e1214389ac70555b075373d3", "run 0bf9d6b2e1214389ac70555b075373d4", True),
        ("at 07:30:02 on 2026-11-27", "at 11:59:59 on 2027-01-01", True),
        ("x -1.5", "x 3.25", True),
        ("pid  12345  yes", "pid  7 yes", True),
        ("version 1 promoted", "version 1 rejected", False),
        ("a\nb", "a", False),
        ("a", "a\nb", False),
        ("a\n…", "a\nb\nc", True),
        ("…\nb\n…", "a\nb\nc", True),
        ("…\nd\n…", "a\nb\nc", False),
        ("poller … yes", "poller running yes", True),
        ("poller … yes", "poller running no", False),
        ("", "", True),
        ("", "an error", False),
    ],
)
def test_an_output_matches_apart_from_numbers_and_what_is_left_out(shown: str, output: str, same: bool) -> None:
    """Words, lines and their order count; the values of numbers, ids and times do not."""
    assert matches(shown.splitlines(), output) is same


def test_lines_of_a_terminal_may_come_in_any_order() -> None:
    """Each line of the page must be there."""
    assert lines_missing(["b 2", "…", "a 1"], "a 7\nx\nb 8\n") == []
    assert lines_missing(["b", "c"], "a\nb\n") == ["c"]


def test_the_page_has_commands_and_lines_of_the_first_terminal() -> None:
    """The first command is `make demo`, and Ctrl-C ends it before the run is deleted."""
    found = steps()
    assert found[0].command == "make demo POLL=manual"
    assert [step.command for step in found[-2:]] == ["^C", "make clean"]
    assert sum(step.terminal == 1 for step in found) > 5
    assert any("\n" in step.command for step in found)
