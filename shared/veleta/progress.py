"""Shows the progress of a job: on a terminal in one line that changes, elsewhere as a new line every five seconds."""

import sys
import time
from collections.abc import Callable

_INTERVAL_SECONDS = {True: 0.2, False: 5.0}


class ProgressLine:
    """Shows texts, not more often than a person can read them."""

    def __init__(
        self, report: Callable[[str], None], *, live: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`live`: stdout is a terminal, whose line changes. Otherwise each text that is shown is passed to `report`."""
        self._report = report
        self._live = live
        self._clock = clock
        self._shown_at = clock()
        self._text = ""

    def update(self, text: str) -> None:
        """Show a text, unless it is the same or the last one is too recent."""
        if text == self._text or self._clock() - self._shown_at < _INTERVAL_SECONDS[self._live]:
            return
        self._shown_at = self._clock()
        if self._live:
            sys.stdout.write(f"\r{text.ljust(len(self._text))}")
            sys.stdout.flush()
        else:
            self._report(text)
        self._text = text

    def close(self) -> None:
        """End the line that changes."""
        if self._live and self._text:
            sys.stdout.write("\n")
            sys.stdout.flush()
