"""Output that is closed while a command runs."""

import subprocess
import sys
from pathlib import Path

import pytest

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
