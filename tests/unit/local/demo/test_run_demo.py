"""How the demo ends: by Ctrl-C, by a closed terminal or pipe, and by a fault. The run is one sleeping process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.demo import command
from support.pseudo_terminal import PseudoTerminal
from support.repository import ROOT
from support.testbed import free_base, wait_until
from veleta_local import processes

ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home of a run whose processes are ended afterwards."""
    yield tmp_path / "run"
    processes.end_run(tmp_path / "run")


def demo(home: Path, mode: str = "") -> list[str]:
    """The command."""
    return [sys.executable, "-m", "support.fake_demo", str(home), mode]


def terminal(home: Path, mode: str = "") -> PseudoTerminal:
    """A terminal with a demo in it."""
    return PseudoTerminal(demo(home, mode), environ=ENVIRON)


def wait_until_down(home: Path) -> None:
    """Wait until the run has no process."""
    wait_until(lambda: not processes.of_run(home), 20, "the run has ended")


def test_ctrl_c_shows_what_the_end_waits_for_and_a_second_one_changes_nothing(home: Path) -> None:
    """The parts that still run, with the seconds; no traceback, and the exit code 0."""
    window = terminal(home, "slow")
    window.wait_for("Ctrl-C ends all processes")
    window.type(b"\x03")
    window.wait_for("stopping: kafka (")
    window.type(b"\x03")
    window.wait_for("stopping: kafka (1 s); Ctrl-C again does not make it faster")
    assert window.process.wait(20) == 0
    wait_until(lambda: "all processes have ended" in window.lines[-1], 5, "the last line")
    assert b"Traceback" not in window.output
    assert not processes.of_run(home)


def test_a_window_of_another_size_shows_one_block_and_each_line_once(home: Path) -> None:
    """The last lines are in the order of their times, and the block is below them."""
    window = terminal(home, "few")
    wait_until(lambda: {"10", "11"} <= {line.split()[2] for line in messages(window.lines)}, 20, "all messages")
    for columns, rows in ((120, 40), (60, 24), (80, 30)):
        window.resize(columns, rows)
        wait_until(lambda: is_tidy(window.lines), 10, "one block below the lines")
    assert window.end() == 0


def messages(lines: list[str]) -> list[str]:
    """The rows in which a message begins."""
    return [line for line in lines if "  batch " in line]


def is_tidy(lines: list[str]) -> bool:
    """Whether the screen has messages in their order, and one block below them."""
    shown = messages(lines)
    return (
        len(shown) == len(set(shown)) > 2
        and [line.split()[0] for line in shown] == sorted(line.split()[0] for line in shown)
        and sum("poller   ready" in line for line in lines) == 1
        and "Ctrl-C ends all processes" in "".join(lines[-2:])
    )


def test_typed_characters_are_shown_again_after_the_end(home: Path) -> None:
    """Only while the block is redrawn they are not."""
    window = PseudoTerminal(["bash", "-ic", '"$@"; read -r', "sh", *demo(home, "silent")], environ=ENVIRON)
    window.wait_for("Ctrl-C ends all processes")
    before = window.lines
    window.type(b"typed\n\n")
    window.type(b"\x03")
    window.wait_for("all processes have ended")
    assert not any("typed" in line for line in [*before, *window.lines])
    window.type(b"visible")
    window.wait_for("visible")
    window.end(b"\n")


@pytest.mark.failure("F220")
@pytest.mark.parametrize(("shell", "mode"), [([], ""), (["sh", "-c", '"$@"; true', "sh"], "silent")], ids=["", "shell"])
def test_a_closed_terminal_ends_the_run(home: Path, shell: list[str], mode: str) -> None:
    """Also if the process gets no SIGHUP, and if nothing is printed. It cannot write to the terminal while it stops."""
    window = PseudoTerminal([*shell, *demo(home, mode)], environ=ENVIRON)
    window.wait_for("Ctrl-C ends all processes")
    assert processes.of_run(home)
    window.close()
    wait_until_down(home)


@pytest.mark.failure("F220")
@pytest.mark.parametrize(("stderr", "mode"), [(subprocess.PIPE, ""), (subprocess.STDOUT, "silent")], ids=["", "both"])
def test_a_closed_pipe_ends_the_run(home: Path, stderr: int, mode: str) -> None:
    """`make demo | head -1`, also with standard error in the pipe, and if nothing more is printed. It ends silently."""
    with subprocess.Popen(demo(home, mode), stdout=subprocess.PIPE, stderr=stderr, env=ENVIRON) as process:
        assert process.stdout
        while not process.stdout.readline().startswith(b"MLflow"):  # the last line of a silent run
            pass
        process.stdout.close()
        assert process.wait(20) == 0
        assert not process.stderr or process.stderr.read() == b""
    assert not processes.of_run(home)


@pytest.mark.failure("F221")
def test_a_fault_of_the_demo_ends_the_run(home: Path) -> None:
    """The fault is on standard error, after the stop."""
    done = subprocess.run(demo(home, "broken"), capture_output=True, env=ENVIRON, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "a fault of the observer" in done.stderr
    assert "all processes have ended" in done.stdout
    assert not processes.of_run(home)


@pytest.mark.failure("F221")
def test_a_fault_and_a_closed_pipe_end_the_run(home: Path) -> None:
    """The message has no stream, and the run ends all the same."""
    with subprocess.Popen(
        demo(home, "broken"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRON
    ) as process:
        assert process.stdout
        process.stdout.close()
        process.wait(20)
    assert not processes.of_run(home)


@pytest.mark.failure("F220")
def test_a_second_demo_is_a_viewer(home: Path) -> None:
    """Its Ctrl-C and its closed window end only the viewer; when the run ends, the viewer's message shows it."""
    first = terminal(home)
    first.wait_for("Ctrl-C ends all processes")
    viewers = [terminal(home, "silent") for _ in range(3)]
    for viewer in viewers:
        viewer.wait_for("This is a viewer: Ctrl-C ends only the viewer; make stop ends the run.")
    assert viewers[0].end() == 0
    assert "the viewer has ended, the run goes on: make stop ends it" in viewers[0].lines
    viewers[1].close()
    assert processes.of_run(home)
    first.wait_for("Ctrl-C ends all processes")
    assert first.end() == 0
    assert not processes.of_run(home)
    assert viewers[2].process.wait(20) == 0
    assert viewers[2].lines[-1] == "another command stopped the run: make start starts it again"


def test_another_command_stops_the_run_of_a_demo(home: Path) -> None:
    """The demo ends with one line, and does not work on the run beside the other command."""
    with subprocess.Popen(demo(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRON) as process:
        assert process.stdout
        process.stdout.readline()
        processes.end_run(home)
        output, error = process.communicate(timeout=20)
    assert process.returncode == 1
    assert error.endswith(b"RunStopped: another command stopped the run: make demo starts it again\n")
    assert b"stopping all processes" not in output


def test_a_refused_start_shows_only_its_faults(home: Path) -> None:
    """Nothing was started, so nothing is stopped."""
    variables = {"csv": str(home.parent / "gone.csv"), "port_base": free_base()}
    started = command(home, json.dumps(variables))
    done = subprocess.run(started, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith("gone.csv: cannot be read: No such file or directory")
    assert not home.exists()
