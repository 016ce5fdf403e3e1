"""Lines of the journal: a JSON object after its checksum, so that a damaged line is recognized."""

from dataclasses import dataclass, field
from zlib import crc32

import orjson

DIGITS = 8
"""Hexadecimal digits of a checksum."""


@dataclass(frozen=True)
class Portion:
    """Lines that were read from the journal together. `damaged` ones are as they were found."""

    size: int
    """Their bytes in the journal. 0: there was nothing to read."""
    lines: list[bytes] = field(default_factory=list)
    damaged: list[bytes] = field(default_factory=list)


def seal(text: bytes) -> bytes:
    """The line of a JSON object, with the checksum and a line end."""
    return b"%0*x %b\n" % (DIGITS, crc32(text), text)


def read_lines(data: bytes) -> Portion:
    """The lines in `data`, which ends with a line end."""
    portion = Portion(len(data))
    for line in data.split(b"\n")[:-1]:
        _sort(line, portion)
    return portion


def _sort(line: bytes, portion: Portion) -> None:
    """Add a line to the valid or to the damaged ones. A power failure may leave zeros before a valid line."""
    damage, zero, rest = line.rpartition(b"\0")
    if (text := _unseal(rest)) is not None:
        portion.lines.append(text)
        if zero:
            portion.damaged.append(damage + zero)
    elif line.startswith(b"{") and _is_json(line):
        portion.lines.append(line)  # of version 0.1.0, which wrote no checksums
    else:
        portion.damaged.append(line)


def _unseal(line: bytes) -> bytes | None:
    """The text of a line, None if its checksum does not match."""
    text = line[DIGITS + 1 :]
    return text if seal(text) == line + b"\n" else None


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
