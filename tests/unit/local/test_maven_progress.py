"""The progress of Maven's downloads."""

import pytest

from veleta_local.maven_progress import MavenProgress, ProgressReporter


def test_complete_and_partial_files_are_added() -> None:
    """A file that is complete counts once."""
    progress = MavenProgress()
    megabytes = []
    for line in (
        "Downloading from central: https://host/a.jar",
        "Progress (2): 12/149 MB | 400 kB",
        "Downloaded from central: https://host/b-1.2 (3).jar (400 kB at 1.5 MB/s)",
        "Progress (1): 149 MB   ",
        "Downloaded from central: https://host/a.jar (149 MB at 17 MB/s)",
        "[INFO] Copying b.jar (2 GB)",
    ):
        progress.on_line(line)
        megabytes.append(round(progress.megabytes, 3))
    assert megabytes == [0, 12.4, 12.4, 149.4, 149.4, 149.4]


def test_a_pipe_gets_a_line_every_five_seconds() -> None:
    """No line if the number did not change."""
    now, lines = [0.0], list[str]()
    reporter = ProgressReporter(210, lines.append, live=False, clock=lambda: now[0])
    for now[0], megabytes in ((1, 1.0), (5, 4.2), (6, 8.0), (11, 4.2), (12, 30.0)):
        reporter.update(megabytes)
    reporter.close()
    assert lines == ["  4 MB of about 210", "  30 MB of about 210"]


def test_a_terminal_gets_one_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """The last text stays."""
    now = [0.0]
    reporter = ProgressReporter(210, pytest.fail, live=True, clock=lambda: now[0])
    for now[0], megabytes in ((1, 1.0), (2, 57.0)):
        reporter.update(megabytes)
    reporter.close()
    assert capsys.readouterr().out == "\r  1 MB of about 210\r  57 MB of about 210\n"
