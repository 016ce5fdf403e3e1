"""A terminal window without a picture: a process in it, and what its screen shows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence

import pyte

from support.testbed import wait_until

CTRL_C = b"\x03"


class PseudoTerminal:
    """A process whose controlling terminal is a new one. `output` is all that it wrote."""

    def __init__(
        self, command: Sequence[str], columns: int = 80, rows: int = 24, environ: Mapping[str, str] | None = None
    ) -> None:
        self._keyboard, its = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._set_size(columns, rows)
        self.output = b""
        self.process = subprocess.Popen(
            [*_WITH_TERMINAL, *command],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**os.environ, **(environ or {}), "TERM": "xterm-256color"},
        )
        os.close(its)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def lines(self) -> list[str]:
        """The rows of the screen without trailing spaces, and without the empty ones at the end."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the screen shows a text in one row."""
        wait_until(lambda: any(text in line for line in self.lines), seconds, f"{text!r} on the screen")

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._keyboard, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        with self._lock:
            self._screen.resize(rows, columns)
            self._set_size(columns, rows)

    def close(self) -> None:
        """Close the window: the process gets SIGHUP, and every later write fails. Return when the process has ended."""
        self._closing.set()
        self._reader.join()
        os.close(self._keyboard)
        self.process.wait(30)

    def end(self, keys: bytes = CTRL_C, seconds: float = 30) -> int:
        """Press keys, and return the exit code."""
        self.type(keys)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while not self._closing.is_set():
            if not select.select([self._keyboard], [], [], 0.1)[0]:
                continue
            try:
                chunk = os.read(self._keyboard, 65536)
            except OSError:  # no process has the terminal any more
                return
            with self._lock:
                self.output += chunk
                self._stream.feed(chunk)


_WITH_TERMINAL = ("setsid", "--ctty")
"""The process leads its session, as the shell of a window does."""
