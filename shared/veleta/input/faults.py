"""The faults of an input file."""

from collections.abc import Iterable
from pathlib import Path

from veleta.errors import Stop


class FaultyInput(Stop):
    """The file cannot be used. `faults` has one line for each fault, which names the file; in `details` it does not."""

    def __init__(self, path: Path, faults: Iterable[str]) -> None:
        self.details = [" ".join(fault.split()) for fault in faults]
        self.faults = [f"{path}: {detail}" for detail in self.details]
        super().__init__("; ".join(self.faults))


def quoted(text: object, length: int = 40) -> str:
    """A text in quotes for a message: printable, in one line, cut to `length` characters."""
    shown = " ".join(str(text)[: 10 * length].split())
    return repr(shown if len(shown) <= length else f"{shown[: length - 1]}…")
