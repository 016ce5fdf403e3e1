"""Names and titles for the columns of a file, from its headers."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path

from veleta.dataset_faults import RESERVED, RESERVED_IN_MARKET
from veleta.places import PLACE_PREFIX

MAX_NAME, MAX_TITLE = 48, 100
_ENDINGS = (".gz", ".zip", ".csv", ".tsv", ".txt", ".parquet", ".pq")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(header: str) -> set[str]:
    """The words of a header in lower case: `lot_id`, `Lot ID` and `LotId` have lot and id."""
    return {word.lower() for word in _WORD.findall(_ascii(header))}


def file_stem(path: Path) -> str:
    """The name of a file without the endings of its kind: `a.b` of `a.b.csv.gz`."""
    name = path.name
    while ending := next(filter(name.lower().endswith, _ENDINGS), ""):
        name = name[: -len(ending)]
    return name


def dataset_name(path: Path, shipped: Collection[str]) -> str:
    """A valid name for the dataset of a file, which is not that of a shipped one."""
    name = _valid(file_stem(path)) or "dataset"
    return _unique(name if name[0].isalpha() else f"data_{name}"[:MAX_NAME], shipped)


def column_names(headers: Iterable[str]) -> list[str]:
    """A valid name for each header, none twice and none reserved."""
    names: list[str] = []
    for position, header in enumerate(headers, 1):
        name = _valid(header) or str(position)
        if not name[0].isalpha() or name in RESERVED | RESERVED_IN_MARKET or name.startswith(PLACE_PREFIX):
            name = f"column_{name}"[:MAX_NAME]
        names.append(_unique(name, names))
    return names


def title_of(header: str, name: str) -> str:
    """The header for people: without `_` and characters that show nothing, and with a capital."""
    shown = "".join(character for character in " ".join(header.split()) if character.isprintable())
    title = " ".join(shown.replace("_", " ").split())[:MAX_TITLE].strip() or shown[:MAX_TITLE] or name
    return title[0].upper() + title[1:]


def _valid(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _ascii(text).lower()).strip("_")[:MAX_NAME].rstrip("_")


def _ascii(text: str) -> str:
    """The text without accents. Letters of other alphabets are left out."""
    return unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()


def _unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it if it is taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name[: MAX_NAME - len(str(number)) - 1]}_{number}"
    return candidate
