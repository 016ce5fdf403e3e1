"""`make demo` as a process, with its output."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from veleta_local.deployment import PYTHON

DEMO = """\
import json, sys
from pathlib import Path
from veleta_local.demo.run_demo import run_demo
from veleta_local.variables import Variables
run_demo(Path(sys.argv[1]), Variables(**json.loads(sys.argv[2]), start_timeout=300))
"""


class Demo:
    """The process and its output so far."""

    _terminal: Sequence[str] = ()

    def __init__(self, home: Path, variables: str, terminal: bool = False) -> None:
        ours, its = os.openpty() if terminal else os.pipe()
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
        command = [*self._terminal, str(PYTHON), "-c", DEMO, str(home), variables]
        self.process = subprocess.Popen(command, stdout=its, stderr=its, env=environ, start_new_session=True)
        os.close(its)
        self.output = ""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Wait until the output contains the text."""
        until = time.monotonic() + 120
        while text not in self.output:
            assert time.monotonic() < until, f"no {text!r} in: {self.output}"
            assert self.process.poll() is None, f"ended with {self.output}"
            time.sleep(0.1)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join()
        return code

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", newline="") as output:
            try:
                while chunk := os.read(output.fileno(), 65536):
                    self.output += chunk.decode(errors="replace")
            except OSError:  # a terminal whose process has ended
                pass


class DemoInTerminal(Demo):
    """The same in a terminal window: `process` is the window, and the demo is its child."""

    _terminal = (str(PYTHON), "-c", "import pty, sys; pty.spawn(sys.argv[1:])")

    def close(self) -> None:
        """Close the window. Its processes get SIGHUP."""
        self.end(signal.SIGKILL)
