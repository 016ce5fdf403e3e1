"""Tables of places: what is known of a place by its key, such as a ZIP code. None of it is a label."""

import csv
import gzip
import hashlib
import io
import math
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from veleta.errors import Stop
from veleta.valid_values import NAME_PATTERN, NAME_WORDS, alternatives

MAX_BYTES = 32 * 1024 * 1024
"""The largest table, decompressed. Each process that computes features has it in memory."""
CITY, STATE = "city", "state"
"""Columns of a table that are no values: a place whose key is unknown is searched by them."""
PLACE_PREFIX = "place_"
"""How the names of features from a table begin."""
_SHIPPED = Path(__file__).parent / "places"
_SUFFIXES = (".csv", ".csv.gz")


class Place(NamedTuple):
    """The values of a place: NaN for a number that is unknown, an empty text for a text."""

    numbers: Sequence[float]
    texts: Sequence[str]


class Places:
    """A table of places in memory. Threads may share it.

    `numbers` and `texts` are the names of its columns, in the order of a `Place`, without the key, city and state.
    `digest` is the SHA-256 of the decompressed file, in hexadecimal.
    """

    def __init__(self, name: str, data: bytes) -> None:
        """The table of a file's bytes, decompressed. Raises Stop: they break a rule of `load_places`."""
        self.name = name
        self.digest = hashlib.sha256(data).hexdigest()
        header = _header(data)
        texts = set[int]()
        # A column is numeric until a text is found in it. Then the rows are read again.
        while more := self._read(data, header, texts):
            texts |= more
        self.numbers = tuple(column for i, column in enumerate(header) if i in self._numeric)
        self.texts = tuple(header[i] for i in sorted(texts))
        self._means = dict[tuple[str, str], Place]()
        self._unknown = Place([math.nan] * len(self.numbers), [""] * len(self.texts))

    def find(self, key: str, city: str = "", state: str = "") -> Place:
        """What is known of the place with this key.

        If the key is unknown, this is the mean of the city's places, or else of the state's. A text is then that of
        more than half of them, or else empty. Key and names are compared without case and surrounding blanks.
        """
        row = self._rows.get(_normal(key))
        if row is not None:
            return self._place(row)
        state = _normal(state) if self._has_states else ""
        for group in ((_normal(city), state), ("", state)):
            if group in self._groups:
                if group not in self._means:  # as many as the table has cities and states, whatever is asked
                    self._means[group] = self._mean([self._place(row) for row in self._groups[group]])
                return self._means[group]
        return self._unknown

    def _read(self, data: bytes, header: list[str], texts: set[int]) -> set[int]:
        """Store all rows and return nothing, or return the numeric columns that have a text in some row."""
        city, state = (header.index(column) if column in header else None for column in (CITY, STATE))
        self._has_states = state is not None
        self._numeric = [i for i in range(1, len(header)) if i not in (city, state, *texts)]
        self._rows, self._values = dict[str, int](), array("d")
        self._words, shared = list[tuple[str, ...]](), dict[tuple[str, ...], tuple[str, ...]]()
        self._groups = dict[tuple[str, str], list[int]]()
        for line, row in _rows(data, len(header)):
            number = len(self._words)
            if self._rows.setdefault(_normal(row[0]), number) != number:
                raise Stop(f"line {line}: the key {row[0]} is repeated: leave out one of its rows")
            try:
                self._values.extend([float(row[i] or math.nan) for i in self._numeric])
            except ValueError:
                return {i for i in self._numeric if not _is_number(row[i])}
            words = tuple([row[i] for i in sorted(texts)])
            self._words.append(shared.setdefault(words, words))
            in_state = "" if state is None else _normal(row[state])
            if in_state:
                self._groups.setdefault(("", in_state), []).append(number)
            if city is not None and row[city]:
                self._groups.setdefault((_normal(row[city]), in_state), []).append(number)
        if not self._words:
            raise Stop("there is no row after the header: add the places")
        if any(map(math.isinf, self._values)):
            raise Stop("a number is infinite: leave its field empty")
        return set()

    def _place(self, row: int) -> Place:
        width = len(self._numeric)
        return Place(self._values[row * width : (row + 1) * width], self._words[row])

    def _mean(self, places: Sequence[Place]) -> Place:
        numbers = zip(*(place.numbers for place in places), strict=True)
        texts = zip(*(place.texts for place in places), strict=True)
        return Place(array("d", map(_known_mean, numbers)), tuple(map(_majority, texts)))


@cache
def load_places(name: str) -> Places:
    """The table of this name in veleta/places, or in the .csv or .csv.gz file at this path. A process reads it once.

    The first column is the key. The columns `city` and `state` are optional. A column whose values are numbers or
    empty is numeric; any other one has texts.

    Raises:
        Stop: the file cannot be read, or is larger than MAX_BYTES; it is not UTF-8; the header has an invalid or a
            repeated name; there is no row; a row has no key, a repeated one, or another number of fields.
    """
    if fault := missing_table(name):
        raise Stop(f"places {name}: {fault}")
    try:
        return Places(name, _decompressed(_path(name)))
    except Stop as error:
        raise Stop(f"places {name}: {error}") from error


def missing_table(name: str) -> str:
    """What to do if `load_places` would find no file. Empty if there is one."""
    if _path(name).is_file():
        return ""
    shipped = sorted(each.name.removesuffix(".csv.gz") for each in _SHIPPED.glob("*.csv.gz"))
    missing = "there is no such file" if name.endswith(_SUFFIXES) else "there is no such table"
    return f"{missing}: use {alternatives([*shipped, 'the path of a .csv or .csv.gz file'])}"


def _path(name: str) -> Path:
    return Path(name) if name.endswith(_SUFFIXES) else _SHIPPED / f"{name}.csv.gz"


def _decompressed(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Stop("this is no gzip file, or it is damaged: write it again") from error
    except OSError as error:
        raise Stop(f"the file cannot be read ({error.strerror})") from error
    if len(data) > MAX_BYTES:
        raise Stop(f"the table is larger than {MAX_BYTES >> 20} MiB: leave out rows or columns")
    return data


def _lines(data: bytes) -> Iterator[str]:
    try:
        yield from io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    except UnicodeDecodeError:
        line = next(n for n, line in enumerate(data.split(b"\n"), 1) if "\ufffd" in line.decode(errors="replace"))
        raise Stop(f"line {line} is not UTF-8: save the file as UTF-8") from None


def _header(data: bytes) -> list[str]:
    header = next(csv.reader(_lines(data)), [])
    for column in header:
        if not re.match(NAME_PATTERN, column):
            raise Stop(f"line 1: {column[:60]!r} is no name of a column: use {NAME_WORDS}")
        if header.count(column) > 1:
            raise Stop(f"line 1: the column {column} is repeated: rename one")
    if not {*header[1:]} - {CITY, STATE}:
        raise Stop("line 1 must name the columns, with commas between them: the key, and one or more values")
    return header


def _rows(data: bytes, width: int) -> Iterator[tuple[int, list[str]]]:
    """Each row after the header that is not empty, with the line where it ends."""
    reader = csv.reader(_lines(data), strict=True)
    try:
        next(reader)
        for row in filter(None, reader):
            if len(row) != width:
                raise Stop(f"line {reader.line_num}: there are {len(row)} fields, and {width} in the header")
            if not row[0].strip():
                raise Stop(f"line {reader.line_num}: the key is missing: add it, or leave out the row")
            yield reader.line_num, row
    except csv.Error as error:
        raise Stop(f"line {reader.line_num}: this is not CSV: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _normal(text: str) -> str:
    return text.strip().casefold()


def _known_mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _majority(texts: Sequence[str]) -> str:
    """The text that more than half of them are, or else an empty one."""
    ((text, count),) = Counter(texts).most_common(1)
    return text if 2 * count > len(texts) else ""
