"""The progress of a job."""

import pytest

from veleta.progress import ProgressLine


def test_a_pipe_gets_a_line_every_five_seconds() -> None:
    """No line if the text did not change."""
    now, lines = [0.0], list[str]()
    line = ProgressLine(lines.append, live=False, clock=lambda: now[0])
    for now[0], text in ((1, "1 MB"), (5, "4 MB"), (6, "8 MB"), (11, "4 MB"), (12, "30 MB")):
        line.update(text)
    line.close()
    assert lines == ["4 MB", "30 MB"]


def test_a_terminal_gets_one_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """A longer text is overwritten, and the last one stays."""
    now = [0.0]
    line = ProgressLine(pytest.fail, live=True, clock=lambda: now[0])
    for now[0], text in ((1, "57 MB"), (1.1, "58 MB"), (2, "9 MB")):
        line.update(text)
    line.close()
    assert capsys.readouterr().out == "\r57 MB\r9 MB \n"
