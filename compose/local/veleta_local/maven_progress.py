"""How much of a download has come, from the words of Maven, and for the eyes of the person who waits."""

import re
import time
from collections.abc import Callable

_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_WHOLE = re.compile(r"Downloaded\b.*\(([\d.]+) (B|kB|MB|GB)\b")
_UNDER_WAY = re.compile(r"([\d.]+)(?:/[\d.]+)? (B|kB|MB|GB)\b")
_EVERY = {True: 0.2, False: 5.0}


class Arrival:
    """The sum of the files that Maven calls downloaded, and of the parts it has of those under way."""

    def __init__(self) -> None:
        self._whole = 0.0
        self._under_way = 0.0

    @property
    def megabytes(self) -> float:
        return (self._whole + self._under_way) / 10**6

    def hear(self, line: str) -> None:
        """Take a line as Maven writes it: `Progress (2): 12/149 MB | 4.1 kB`, `Downloaded ... (149 MB at 17 MB/s)`."""
        if whole := _WHOLE.search(line):
            size = _size(*whole.groups())
            self._whole += size
            self._under_way = max(self._under_way - size, 0)
        elif line.startswith("Progress ("):
            self._under_way = sum(_size(*found) for found in _UNDER_WAY.findall(line))


class Meter:
    """Shows megabytes: on a terminal in one line that changes, elsewhere in a new line every five seconds."""

    def __init__(
        self,
        total: int,
        say: Callable[[str], None],
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._say = say
        self._live = live
        self._clock = clock
        self._shown = clock()
        self._text = ""

    def show(self, megabytes: float) -> None:
        """Tell how many have come, unless that was just told."""
        text = f"  {megabytes:.0f} MB of about {self._total}"
        if text == self._text or self._clock() - self._shown < _EVERY[self._live]:
            return
        self._shown, self._text = self._clock(), text
        if self._live:
            print(f"\r{text}", end="", flush=True)
        else:
            self._say(text)

    def end(self) -> None:
        """Leave the line that changed."""
        if self._live and self._text:
            print()


def _size(number: str, unit: str) -> float:
    return float(number) * _BYTES[unit]
