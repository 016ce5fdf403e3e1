"""Reads from Maven's output how many megabytes it has downloaded, and reports them."""

import re
import time
from collections.abc import Callable

_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_FILE_DOWNLOADED = re.compile(r"Downloaded\b.*\(([\d.]+) (B|kB|MB|GB)\b")
_FILE_IN_PROGRESS = re.compile(r"([\d.]+)(?:/[\d.]+)? (B|kB|MB|GB)\b")
_INTERVAL_SECONDS = {True: 0.2, False: 5.0}


class MavenProgress:
    """The size of the downloaded files and of the downloaded parts of other files."""

    def __init__(self) -> None:
        self._downloaded = 0.0
        self._in_progress = 0.0

    @property
    def megabytes(self) -> float:
        return (self._downloaded + self._in_progress) / 10**6

    def on_line(self, line: str) -> None:
        """Read a line of output: `Progress (2): 12/149 MB | 4.1 kB`, or `Downloaded ... (149 MB at 17 MB/s)`."""
        if downloaded := _FILE_DOWNLOADED.search(line):
            size = _size(*downloaded.groups())
            self._downloaded += size
            self._in_progress = max(self._in_progress - size, 0)
        elif line.startswith("Progress ("):
            self._in_progress = sum(_size(*match) for match in _FILE_IN_PROGRESS.findall(line))


class ProgressReporter:
    """Reports megabytes: on a terminal in one line that changes, elsewhere as a new line every five seconds."""

    def __init__(
        self,
        total: int,
        report: Callable[[str], None],
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._report = report
        self._live = live
        self._clock = clock
        self._reported_at = clock()
        self._text = ""

    def update(self, megabytes: float) -> None:
        """Report them, unless the text is the same or the last report is too recent."""
        text = f"  {megabytes:.0f} MB of about {self._total}"
        if text == self._text or self._clock() - self._reported_at < _INTERVAL_SECONDS[self._live]:
            return
        self._reported_at, self._text = self._clock(), text
        if self._live:
            print(f"\r{text}", end="", flush=True)
        else:
            self._report(text)

    def close(self) -> None:
        """End the line that changes."""
        if self._live and self._text:
            print()


def _size(number: str, unit: str) -> float:
    return float(number) * _BYTES[unit]
