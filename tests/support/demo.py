"""`make demo` as a process, with its output or in a terminal."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from support.pseudo_terminal import PseudoTerminal
from veleta_local.deployment import PYTHON

DEMO = """\
import json, sys
from pathlib import Path
from veleta_local.demo.run_demo import run_demo
from veleta_local.variables import Variables
run_demo(Path(sys.argv[1]), Variables(**json.loads(sys.argv[2]), start_timeout=300))
"""


def command(home: Path, variables: str) -> list[str]:
    """`make demo` of a run in another folder, with the variables as JSON."""
    return [str(PYTHON), "-c", DEMO, str(home), variables]


class Demo:
    """The process and its output so far."""

    def __init__(self, home: Path, variables: str) -> None:
        ours, its = os.pipe()
        self.process = subprocess.Popen(command(home, variables), stdout=its, stderr=its, start_new_session=True)
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
            while chunk := os.read(output.fileno(), 65536):
                self.output += chunk.decode(errors="replace")


class DemoInTerminal(PseudoTerminal):
    """The same in a terminal window."""

    def __init__(self, home: Path, variables: str, columns: int) -> None:
        super().__init__(command(home, variables), columns, rows=40)
