"""How the demo ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.testbed import wait_until
from veleta_local.demo.run_demo import until_signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PRINT_FOREVER = """\
import sys, time
from pathlib import Path
from veleta_local.demo.run_demo import until_signal
with until_signal():
    while True:
        print("line", flush=True)
        time.sleep(0.01)
print("the run is stopped here", flush=True)
Path(sys.argv[1]).touch()
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restores the handlers of the signals."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    """A second signal has no effect, so that the run is stopped without an interruption."""
    with until_signal():
        os.kill(os.getpid(), number)
        pytest.fail("the block continues")
    os.kill(os.getpid(), number)


def test_a_closed_terminal_ends_the_block(tmp_path: Path) -> None:
    """The process continues after the block although it can no longer write to the terminal."""
    command = [sys.executable, "-c", PRINT_FOREVER, str(tmp_path / "stopped")]
    window = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *command]
    with subprocess.Popen(window, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as terminal:
        assert terminal.stdout
        assert terminal.stdout.read(4) == b"line"
        terminal.kill()
        wait_until((tmp_path / "stopped").exists, 20, "the process continues after the block")
