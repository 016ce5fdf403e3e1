"""The rows of files as people have them: dialects, encodings, compression, quotes."""

import codecs
import gzip
import io
import os
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.input.batch_assignment import Row
from veleta.input.faults import FaultyInput
from veleta.input.input_rows import SAMPLE_ROWS, open_rows

DATASET = load_dataset("real_estate")
NAMES = ",".join(LINE)
CELLS = ",".join(LINE.values())
GOOD = f"{NAMES}\n{CELLS}\n{CELLS}\n"
Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file with this content, in UTF-8."""

    def file(content: str | bytes) -> Path:
        path = tmp_path / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


def line(separator: str = ",", **changes: str) -> str:
    """A line of a file with some other cells."""
    return separator.join({**LINE, **changes}.values())


def read(path: Path) -> tuple[list[Row], str]:
    """The complete rows of a file without faults, and the summary of its counts."""
    with open_rows(path, DATASET) as rows:
        rows.require_no_faults()
        complete = [row for _, row in rows.assigned()]
        rows.require_no_faults()
        return complete, rows.counts.summary()


def faults(path: Path) -> list[str]:
    """The faults of a file, as the pre-flight finds them: without the path."""
    found: list[str] = []
    try:
        with open_rows(path, DATASET) as rows:
            try:
                rows.skip(1_000_000, 1_000_000)
            finally:
                found = rows.faults
    except FaultyInput as error:
        found += error.details
    return found


def zipped(*names: str) -> bytes:
    """An archive with GOOD under each of these names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, GOOD)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        GOOD.replace(",", ", "),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", "\n\n"),
        f"\n \n{GOOD}",
        f"sep=,\n{GOOD}",
        "SEP=^\r\n" + GOOD.replace(",", "^"),
        f"\ufeff{GOOD}",
        GOOD.replace(NAMES, "\ufeff" + ",".join(f'"{name}"' for name in LINE)),
        f"{NAMES},\n{CELLS},\n{CELLS},",
        GOOD.replace(CELLS, ", ".join(f'"{cell}"' for cell in LINE.values())),
        GOOD.replace(CELLS, " , ".join(f'"{cell}"' for cell in LINE.values()) + " "),
        GOOD.replace(NAMES, " , ".join(f'"{name}"' for name in LINE)),
        GOOD.encode("utf-16"),
        codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"),
        GOOD.encode("utf-32"),
        gzip.compress(GOOD.encode()),
        gzip.compress(NAMES.encode()) + gzip.compress(f"\n{CELLS}\n{CELLS}".encode()),
        zipped("listings.csv"),
        zipped("data/", "data/listings.csv", "__MACOSX/._listings.csv"),
    ],
    ids=count(),
)
def test_a_file_is_read_whatever_program_wrote_it(write: Write, content: str | bytes) -> None:
    """Separators, line ends, byte order marks and compression make no difference. The name of the file neither."""
    expected, _ = read(write(GOOD))
    assert len(expected) == 2
    assert read(write(content)) == (expected, "2 rows: 2 complete")


def test_decimal_commas_are_read(write: Write) -> None:
    """A column's numbers show them, and those that come later are read in the same way."""
    rows, _ = read(write(f"{NAMES.replace(',', ';')}\n{line(';', acre_lot='0,38')}\n{line(';', acre_lot='1,234')}\n"))
    assert [row["acre_lot"] for row in rows] == [0.38, 1.234]


def test_quoted_cells_may_have_separators_quotes_and_line_ends(write: Write) -> None:
    """The next row has the number of its first line."""
    text = '"East\nWindsor, ""old"" town"'
    rows, summary = read(write(f"{NAMES}\n{line(city=text)}\n{line()}\n{line(bed='')}\n"))
    assert [row["city"] for row in rows] == ['East\nWindsor, "old" town', "Adjuntas"]
    assert summary == "3 rows: 2 complete; 1 left out: bed missing 1 (line 5)"


def test_a_long_text_with_commas_and_line_ends_is_no_swallowed_row(write: Write) -> None:
    """Even if its lines have as many separators as a row."""
    paragraph = "one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve\n"
    rows, _ = read(write(f"{NAMES},notes\n" + f'{CELLS},"{paragraph * 3}"\n' * 2))
    assert len(rows) == 2


@pytest.mark.failure("F182")
@pytest.mark.parametrize(
    ("closing", "last"),
    [
        ([], 51),
        ([line(city='"East Windsor"'), line()], 42),
        ([line(city='"East, Windsor"'), line()], 42),
        ([line(city='Windsor"'), line()], 42),
    ],
)
def test_a_quote_that_does_not_close_is_a_fault(write: Write, closing: list[str], last: int) -> None:
    """With its line, whether the file ends before, or a later quote ends the cell by chance."""
    lines = [line()] * 10 + [line(city='"OBrien')] + [line()] * 29 + (closing or [line()] * 10)
    expected = f'line 12: a quote (") is opened and not closed; it swallows the lines up to {last}'
    assert faults(write("\n".join([NAMES, *lines]))) == [expected]


@pytest.mark.failure("F182")
def test_two_adjacent_rows_that_a_quote_joins_are_a_fault(write: Write) -> None:
    """Together they would look like one row."""
    lines = [line(city='"OBrien'), line(city='Ware"'), line()]
    (fault,) = faults(write("\n".join([NAMES, *lines])))
    assert fault.startswith("line 2: a quote")


def test_a_row_with_quotes_inside_a_cell_is_left_out(write: Write) -> None:
    """The rows around it are read."""
    content = f'{NAMES}\n{line()}\n{line(city=""""Lake" Side""")}\n{line()}\n'
    assert read(write(content))[1] == ("3 rows: 2 complete; 1 left out: malformed quotes or a huge cell 1 (line 3)")


@pytest.mark.failure("F183")
def test_rows_of_another_width_are_counted(write: Write) -> None:
    """None disappears without a count. A blank line is no row."""
    content = f"{NAMES}\n{CELLS}\n\n{CELLS},x\na,b\n"
    assert read(write(content))[1] == (
        "3 rows: 1 complete; 2 left out: more cells than the header 1 (line 4: '13 and not 12'), "
        "fewer cells than the header 1 (line 5: '2 and not 12')"
    ).replace("'", "")


@pytest.mark.failure("F181")
def test_bytes_of_another_encoding_are_a_fault(write: Write) -> None:
    """The first one is named, and the lines are counted."""
    content = f"{NAMES}\n{CELLS}\n{line(city='Zürich')}\n{line(city='Zürich')}\n".encode("cp1252")
    column = line().index("Adjuntas") + 2
    assert faults(write(content)) == [
        f"line 3, byte 0xFC at column {column}: the file is not UTF-8; save it as UTF-8 (2 such lines so far)"
    ]


@pytest.mark.failure("F181")
def test_faults_of_header_and_encoding_are_named_together(write: Write) -> None:
    """So they can be corrected together."""
    content = f"{NAMES.replace('bed,', '')},city\n{line(city='Zürich')}\n".encode("cp1252")
    assert [fault.split(";")[0] for fault in faults(write(content))] == [
        "column city is in the header more than once, at 7 and 12",
        "column bed is missing in the header",
        "line 2, byte 0xFC at column 48: the file is not UTF-8",
    ]


@pytest.mark.failure("F181")
@pytest.mark.parametrize("content", [GOOD.replace("Adjuntas", "A\0"), GOOD.encode("utf-16-le")], ids=count())
def test_nul_bytes_are_a_fault(write: Write, content: str | bytes) -> None:
    """The file is binary, or UTF-16 without its mark."""
    assert any("a NUL byte at column" in fault for fault in faults(write(content)))


@pytest.mark.failure("F180")
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\n \n", "has no header and no rows"),
        (codecs.BOM_UTF8, "has no header and no rows"),
        (zipped(), "is an archive without files"),
        (zipped("a.csv", "b.csv"), "the archive has 2 files (a.csv, b.csv); it must have one"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Excel or Office file; save the sheet as CSV UTF-8"),
        (gzip.compress(GOOD.encode() * 100)[:-20], "the compressed data are damaged"),
        (gzip.compress(GOOD.encode())[:5] + b"garbage" * 9, "the compressed data are damaged"),
        (zipped("listings.csv")[:-30], "the compressed data are damaged"),
        (gzip.compress(gzip.compress(GOOD.encode())), "is compressed twice"),
        (b"BZh91AY&SY", "is compressed by bzip2"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel file"),
        (b"<!DOCTYPE html><html>", "is an HTML page"),
        (b'[{"bed": 1}]', "is JSON"),
        (b"PAR1garbage", "is a damaged Parquet file"),
        (GOOD.encode("utf-16")[:-1], "the text is damaged"),
        ("x" * (1 << 20), "line 1: has more than 1,048,576 characters"),
        (f'"{NAMES}', "line 1: the header has a malformed quote: unexpected end of data"),
        ("city;price,bed", "line 1: the separator may be"),
    ],
    ids=count(),
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(write: Write, content: bytes | str, fault: str) -> None:
    """In one line."""
    (found,) = faults(write(content))
    assert found.startswith(fault)
    assert "\n" not in found


@pytest.mark.failure("F180")
def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    """A named pipe would block until somebody writes."""
    os.mkfifo(tmp_path / "pipe")
    assert faults(tmp_path / "pipe")[0].startswith("is a pipe, a socket or a device; a CSV file")
    assert faults(tmp_path)[0].startswith("is a directory; a CSV file")
    assert faults(tmp_path / "missing.csv") == ["cannot be read: No such file or directory"]
    assert faults(Path("/proc/self/mem"))[0].startswith("cannot be read: ")


@pytest.mark.parametrize(("limit", "characters", "ends"), [(3, 1_000, True), (2, 1_000, False), (3, 10, False)])
def test_rows_can_be_skipped_up_to_a_limit(write: Write, limit: int, characters: int, ends: bool) -> None:
    """Of rows, or of characters."""
    with open_rows(write(GOOD), DATASET) as rows:
        assert rows.skip(limit, characters) is ends


def test_the_rows_after_the_sample_follow_it(write: Write) -> None:
    """Each row is read once, and its line is known."""
    rows, summary = read(write("\n".join([NAMES, *[CELLS] * SAMPLE_ROWS, line(bed=""), CELLS])))
    assert len(rows) == SAMPLE_ROWS + 1
    assert summary.endswith(f"bed missing 1 (line {SAMPLE_ROWS + 2})")
