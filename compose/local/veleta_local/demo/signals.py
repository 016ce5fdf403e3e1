"""The signals that end the demo: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndSignals:
    """Counts the signals. Each one raises KeyboardInterrupt until the end has begun.

    Python discards an exception that is raised in a finalizer, so the first one may have no effect.
    """

    def __init__(self) -> None:
        self.count = 0
        self._ending = False

    def begin_end(self) -> None:
        """From now on signals are only counted."""
        self._ending = True

    def handle(self, _number: int, _frame: object) -> None:
        """Handle a signal."""
        self.count += 1
        if not self._ending:
            raise KeyboardInterrupt


@contextmanager
def until_signal(signals: EndSignals) -> Iterator[None]:
    """Run the block until a signal arrives or it ends. Later signals are only counted."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:  # nohup ignores SIGHUP
            signal.signal(number, signals.handle)
    with suppress(KeyboardInterrupt):
        try:
            yield
        finally:
            signals.begin_end()


def hang_up() -> None:
    """End this process as a closed terminal does, from any thread."""
    os.kill(os.getpid(), signal.SIGHUP)
