"""Reads from Maven's output how many megabytes it has downloaded."""

import re

_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_FILE_DOWNLOADED = re.compile(r"Downloaded\b.*\(([\d.]+) (B|kB|MB|GB)\b")
_FILE_IN_PROGRESS = re.compile(r"([\d.]+)(?:/[\d.]+)? (B|kB|MB|GB)\b")


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


def _size(number: str, unit: str) -> float:
    return float(number) * _BYTES[unit]
