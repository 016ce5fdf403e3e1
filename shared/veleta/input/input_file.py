"""Open an input file: its kind, its compression and its encoding follow from its first bytes."""

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from veleta.input.faults import FaultyInput

PARQUET, GZIP, ZIP = b"PAR1", b"\x1f\x8b", b"PK\x03\x04"
ENCODINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""By byte order mark."""
OTHER_KINDS = {
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"ARROW1": "an Arrow file",
    b"SQLite format": "an SQLite database",
    b"%PDF": "a PDF file",
    b"<!doctype": "an HTML page",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"PK\x05\x06": "an archive without files",
    b"<?xml": "an XML file",
    b"{": "JSON",
    b"[": "JSON",
}
"""By first bytes: files that are often given instead."""
WANTED = "a CSV file (plain, .gz or .zip) or a Parquet file is wanted"
MAGIC_BYTES = 16


def require_file(path: Path) -> None:
    """Raises FaultyInput if there is no regular file. A named pipe is not opened: that would wait for a writer."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise FaultyInput(path, [f"cannot be read: {error.strerror}"]) from error
    if stat.S_ISDIR(mode):
        raise FaultyInput(path, [f"is a directory; {WANTED}"])
    if not stat.S_ISREG(mode):
        raise FaultyInput(path, [f"is a pipe, a socket or a device; {WANTED}"])


def is_parquet(path: Path) -> bool:
    """Whether a file has the first bytes of Parquet. Raises FaultyInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(PARQUET)) == PARQUET
    except OSError as error:
        raise FaultyInput(path, [f"cannot be read: {error.strerror}"]) from error


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """The text of a file, decompressed, with its line ends. A byte that is not UTF-8 becomes a lone surrogate.

    Raises FaultyInput, also while the text is read, if the file is damaged or not text.
    """
    try:
        with path.open("rb") as file, _decompress(path, file) as content:
            magic = content.peek(MAGIC_BYTES)[:MAGIC_BYTES]
            _require_text(path, magic)
            encoding = next((name for mark, name in ENCODINGS.items() if magic.startswith(mark)), "utf-8")
            with io.TextIOWrapper(content, encoding, errors="surrogateescape", newline="") as text:
                yield text
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise FaultyInput(path, [f"the compressed data are damaged: {error}"]) from error
    except UnicodeDecodeError as error:
        raise FaultyInput(path, [f"the text is damaged: {error}"]) from error


@contextmanager
def _decompress(path: Path, file: io.BufferedReader) -> Iterator[io.BufferedReader]:
    magic = file.read(len(ZIP))
    file.seek(0)
    if magic.startswith(GZIP):
        with gzip.open(file) as content:
            yield io.BufferedReader(content)
    elif magic == ZIP:
        with _open_member(path, file) as member:
            yield io.BufferedReader(member)  # type: ignore[arg-type]  # typeshed: an IO has no readinto, and this one has
    else:
        yield file


def _open_member(path: Path, file: IO[bytes]) -> IO[bytes]:
    """The only file in an archive."""
    try:
        archive = zipfile.ZipFile(file)
        return archive.open(_only_file(path, archive))
    except (NotImplementedError, RuntimeError, OSError) as error:  # another compression, a password, a wrong offset
        raise FaultyInput(path, [f"the archive cannot be opened: {error}"]) from error


def _only_file(path: Path, archive: zipfile.ZipFile) -> str:
    """The name of the only file in an archive. Folders, and what macOS adds, do not count."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise FaultyInput(path, ["is an Excel or Office file; save the sheet as CSV UTF-8"])
    if len(names) != 1:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004 - a few are enough
        raise FaultyInput(path, [f"the archive has {len(names)} files ({shown}); it must have one"])
    return names[0]


def _require_text(path: Path, magic: bytes) -> None:
    if not magic:
        raise FaultyInput(path, ["is empty"])
    for start, kind in {**OTHER_KINDS, PARQUET: "Parquet inside an archive", GZIP: "compressed twice"}.items():
        if magic.lstrip().startswith(start):
            raise FaultyInput(path, [f"is {kind}; {WANTED}"])
