"""Standard output and error: only printable text, and no error when a reader closes them, as `| head` does."""

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from veleta.printable import printable

WARNING = "WARNING:"
"""The beginning of a line that is emphasised on a terminal."""


def show(text: str, *, error: bool = False) -> None:
    """Print text, which may come from a topic or a response, on standard output or error."""
    stream = sys.stderr if error else sys.stdout
    for line in printable(text).split("\n"):
        emphasised = line.startswith(WARNING) and stream.isatty()
        print(f"\033[1;33m{line}\033[0m" if emphasised else line, file=stream, flush=True)


def discard_output() -> None:
    """Discard further output. Without it, Python reports an error when it ends and flushes a closed stream."""
    for stream in (sys.stdout, sys.stderr):
        if stream:
            _discard(stream.fileno())


def is_closed() -> bool:
    """Whether the reader of standard output has gone, although nothing was written since."""
    if not sys.stdout:
        return False
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return bool(output.poll(0))


@contextmanager
def surviving_output(on_closed: Callable[[], None]) -> Iterator[None]:
    """In the block a closed stream raises no error: its text is discarded, and `on_closed` is called once for it."""
    with ExitStack() as stack:
        if sys.stdout:
            stack.enter_context(redirect_stdout(_stream(sys.stdout, on_closed)))
        if sys.stderr:
            stack.enter_context(redirect_stderr(_stream(sys.stderr, on_closed)))
        yield


class _Descriptor(io.FileIO):
    """A file descriptor that is never closed here."""

    def __init__(self, descriptor: int, on_closed: Callable[[], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._on_closed = on_closed

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            _discard(self.fileno())
            self._on_closed()
            return len(data)


def _stream(stream: TextIO, on_closed: Callable[[], None]) -> TextIO:
    """A stream with the same descriptor. A character that its encoding lacks is replaced."""
    buffer = io.BufferedWriter(_Descriptor(stream.fileno(), on_closed))
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors="replace", line_buffering=True)


def _discard(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
