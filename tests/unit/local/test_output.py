"""What the commands print, and output that is closed while they run."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.pseudo_terminal import PseudoTerminal
from veleta_local.output import show

TWO_LINES = """\
import sys
from veleta_local.output import surviving_output
with surviving_output(lambda: open(sys.argv[1], "a").write("closed")):
    sys.stdin.readline()
    print("é", flush=True)
    print("é", flush=True, file=sys.stderr)
    print("second", flush=True)
"""


@pytest.mark.parametrize(("closed", "calls"), [(["stdout"], "closed"), (["stdout", "stderr"], "closedclosed")])
def test_a_closed_stream_raises_no_error_and_is_reported_once(tmp_path: Path, closed: list[str], calls: str) -> None:
    """An open stream beside it still gets its text."""
    command = [sys.executable, "-c", TWO_LINES, str(tmp_path / "calls")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]  # its overloads take no mapping
        for name in closed:
            getattr(process, name).close()
        process.stdin.write(b"\n")
        process.stdin.close()
        if "stderr" not in closed:
            assert process.stderr.read().decode() == "é\n"
        assert process.wait(20) == 0
    assert (tmp_path / "calls").read_text() == calls


def test_a_character_that_the_encoding_lacks_is_replaced(tmp_path: Path) -> None:
    """A terminal with another encoding shows the rest of the line."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_LINES, str(tmp_path / "calls")],
        input=b"\n",
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == b"?\nsecond\n"


@pytest.mark.parametrize("error", [False, True])
def test_text_is_made_printable(error: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets no colour."""
    show("WARNING: \x1b[31m\nsecond", error=error)
    out, err = capsys.readouterr()
    assert (err if error else out) == "WARNING: \\x1b[31m\nsecond\n"


def test_a_warning_is_emphasised_on_a_terminal() -> None:
    """Other lines are not."""
    terminal = PseudoTerminal([sys.executable, "-c", "from veleta_local.output import show; show('WARNING: x\\ny')"])
    assert terminal.end(b"") == 0
    terminal.close()
    assert terminal.output == b"\x1b[1;33mWARNING: x\x1b[0m\r\ny\r\n"
