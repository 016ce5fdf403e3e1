"""How the faults of a file are shown."""

from pathlib import Path

from veleta.input.faults import FaultyInput, quoted


def test_each_fault_names_the_file() -> None:
    """The message of the error has all of them in one line."""
    error = FaultyInput(Path("a.csv"), ["is long", "is\n wide\n"])
    assert error.faults == ["a.csv: is long", "a.csv: is wide"]
    assert str(error) == "a.csv: is long; a.csv: is wide"


def test_a_quoted_text_is_short_and_in_one_line() -> None:
    """Also if it has line ends, or characters that a terminal would act on."""
    assert quoted("a\n b") == "'a b'"
    assert quoted("\x1b[2J") == r"'\x1b[2J'"
    assert quoted("x" * 50, 5) == "'xxxx…'"
