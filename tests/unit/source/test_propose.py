"""A dataset file is written for any table that a start can use; for another one a line says why not."""

import csv
import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veleta.dataset import Dataset, load_dataset
from veleta.errors import Stop
from veleta.input.input_file import open_text
from veleta.input.input_rows import open_rows
from veleta_source.adapters.batch_files import SplitFile
from veleta_source.propose import write_proposal

Cells = list[str]
DAYS = [date(2015, 1, 1) + timedelta(days=3 * i) for i in range(400)]
DATE_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y%m%d", "%Y%m%dT000000", "%d-%b-%Y", "%B %Y",
                "%Y/%m/%d", "%m/%d/%Y %H:%M", "%d %B %Y")  # fmt: skip
HEADERS = ["MS SubClass", "Year Remod/Add", "1st Flr SF", "Größe (m²)", "价格", "id", "epoch", "missing_x", "#", "a_b",
           "A B", "A-B", "Bath(s)", "prediction", "Zip Code", 'say "so"', " padded ",
           "x" * 120, "date", "Furnished?"]  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


def column(kind: str, rows: int, number: int) -> Cells:
    """The cells of one kind, as deterministic as its arguments."""
    day = DAYS[number % 200 :]
    makers: dict[str, Callable[[int], str]] = {
        "number": lambda i: str((i * 7919 + number) % 997),
        "decimal": lambda i: f"{(i * 31 + number) % 89 / 8}",
        "range": lambda i: f"{i} - {i + 9}" if i % 13 == number % 13 else str(i * 3 % 400),
        "currency": lambda i: f"$ {i % 9 + 1},{(i * 37) % 900 + 100}",
        "marks": lambda i: ("1,234", "1.5", "2,5", f"{i},25")[(i + number) % (number % 4 + 1)],
        "unit": lambda i: f"{i % 50 + 10} sqft",
        "index": lambda i: str(i + number),
        "code": lambda i: f"{(i % 7 + number) % 100:05}",
        "category": lambda i: "abc ß é"[i % 7],
        "boolean": lambda i: ("yes", "no")[i * 7 % 5 > 1],
        "na": lambda i: ("NA", "Gd", "Ex")[i % 3],
        "text": lambda i: f'a long text of "{i}",\nwith lines and {i * 37 % 101} words in it; and | signs',
        "constant": lambda _: "AllPub",
        "empty": lambda _: "",
        **{form: lambda i, form=form: day[i % len(day)].strftime(form) for form in DATE_FORMATS},  # type: ignore[misc]  # the default binds it
    }
    return [makers[kind](i) for i in range(rows)]


KINDS = ("number", "decimal", "range", "currency", "marks", "unit", "index", "code", "category", "boolean", "na",
         "text", "constant", "empty", *DATE_FORMATS)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Cells], str]:
    """The lines of a table, the header first, and the header of its target."""
    rows = draw(st.sampled_from([5, 60, 240, 240]))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    headers = draw(st.lists(st.sampled_from([*HEADERS, ""]), min_size=len(kinds), max_size=len(kinds)))
    columns = []
    for number, kind in enumerate(kinds):
        cells, gaps = column(kind, rows, number), draw(st.sampled_from([0, 0, 2, 5, 40]))
        marker = draw(st.sampled_from(["", "NA", "?", "null"]))
        columns.append([marker if gaps and i % gaps == 1 else cell for i, cell in enumerate(cells)])
    target = [str(100 + i * 7 % 311) for i in range(rows)]
    for position in draw(st.lists(st.integers(0, rows - 1), max_size=5)):
        target[position] = draw(st.sampled_from(["", "0", "-5", "POA"]))
    place = draw(st.integers(0, len(columns)))
    columns.insert(place, target)
    headers.insert(place, "Sale price")
    return [headers, *map(list, zip(*columns, strict=True))], "sale_price"


def encoded(lines: list[Cells], separator: str, encoding: str, packing: str) -> bytes:
    """The bytes of a file with these lines."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(lines)
    content = text.getvalue().encode(encoding)
    if packing == "gz":
        return gzip.compress(content)
    if packing == "zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("rows.csv", content)
        return archive.getvalue()
    return content


@pytest.mark.failure("F470")
@given(tables(), st.sampled_from(",;\t"), st.sampled_from(ENCODINGS), st.sampled_from(["plain", "gz", "zip"]))
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_table_starts_or_one_line_says_why_not(
    tmp_path_factory: pytest.TempPathFactory,
    table: tuple[list[Cells], str],
    separator: str,
    encoding: str,
    packing: str,
) -> None:
    """Whatever its kinds, gaps, headers, encoding and dates. No row is lost for a fault of another column."""
    lines, target = table
    folder = tmp_path_factory.mktemp("table")
    path, written = folder / "Table 1.csv", folder / "table.toml"
    path.write_bytes(encoded(lines, separator, encoding, packing))
    if fault := refusal(path, target, written):
        assert len(fault.splitlines()) == 1
        assert not written.exists()
        return
    dataset = load_dataset(str(written))
    split = SplitFile(path, folder / "batches", dataset).create(1, [], lambda _rows: None)
    counts = split.counts
    assert counts.total == len(lines) - 1
    assert sum(batch.read_bytes().count(b"sale_price") for batch in split.paths) == counts.total - counts.left_out
    assert sum(counts.reasons.values()) >= counts.left_out
    assert all(reason.startswith("sale_price ") for reason in counts.reasons)
    assert_same_columns(path, dataset, lines[0])


def refusal(path: Path, target: str, written: Path) -> str:
    """Why no dataset file was written. Empty if it was."""
    try:
        write_proposal(path, target, written)
    except Stop as error:
        return str(error)
    return ""


def assert_same_columns(path: Path, dataset: Dataset, headers: Cells) -> None:
    """Each column finds a header of its own, and its title shows that it is the right one."""
    with open_rows(path, dataset) as rows:
        positions = rows.header.positions
    assert len(set(positions.values())) == len(dataset.columns)
    for each in dataset.columns:
        title = " ".join(headers[positions[each.name]].replace("_", " ").split())
        assert each.title.casefold() == title[:100].casefold() or each.header == headers[positions[each.name]].strip()


def propose(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder, with these variables."""
    return subprocess.run(
        [sys.executable, "-m", "veleta_source.propose"],
        cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def houses(path: Path, rows: int = 200) -> None:
    """A table of houses with prices."""
    lines = "".join(f"{i % 5},{'abc'[i % 3]},{1000 + i * 37 % 997}\n" for i in range(rows))
    path.write_text(f"Rooms,Kind,Price\n{lines}")


def test_the_file_is_named_after_the_table(tmp_path: Path) -> None:
    """Its path is on stdout, and what a person should know on stderr."""
    houses(tmp_path / "My houses.csv")
    done = propose(tmp_path, CSV="My houses.csv", TARGET="PRICE")
    assert (done.returncode, done.stdout) == (0, "my_houses.toml\n")
    assert done.stderr.splitlines() == [
        "my_houses.toml is written: 3 columns, 0 left out; read its comments, and change what is wrong",
        "My houses.csv: 200 rows: 200 complete",
    ]


@pytest.mark.failure("F471")
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there is refused, or used as it is if its target is the same."""
    houses(tmp_path / "a.csv")
    assert propose(tmp_path, CSV="a.csv", TARGET="price").returncode == 0
    before = (tmp_path / "a.toml").read_text()
    (tmp_path / "a.csv").unlink()
    refused = propose(tmp_path, CSV="a.csv", TARGET="price")
    assert (refused.returncode, refused.stderr) == (
        1,
        "a.toml is there already: pass OUT=another.toml, or delete it\n",
    )
    used = propose(tmp_path, CSV="a.csv", TARGET="Price", EXISTING="use")
    assert (used.returncode, used.stdout, used.stderr) == (
        0,
        "a.toml\n",
        "a.toml is there already: it is used as it is\n",
    )
    other = propose(tmp_path, CSV="a.csv", TARGET="rooms", EXISTING="use")
    assert (other.returncode, other.stderr) == (
        1,
        "a.toml is there already, and its target is price, not rooms: delete it, or pass DATASET= instead of TARGET=\n",
    )
    assert (tmp_path / "a.toml").read_text() == before


@pytest.mark.failure("F470")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "is empty"),
        ("a,price\n", "has a header, but no rows"),
        ("a,price\n" + "1,2,3\n" * 50, "none of its 50 rows has as many cells as the header"),
        ("a,prize\n" + "1,2\n" * 50, "TARGET=price is no column of the file: did you mean prize?"),
        ("price,a,price\n" + "1,2,3\n" * 50, "TARGET=price: 2 columns have this header: keep one of them"),
        ("a,price\n" + "1,x\n2,y\n" * 50, "TARGET=price: only 0 of 100 values are numbers, as 'x': name a column"),
        ("a,price\n" + "1,-2\n2,3\n3,-1\n" * 50, "TARGET=price: 100 of 150 numbers are below 0, and 50 above"),
        ("a,price\n" + "1,5\n2,5\n" * 50, "TARGET=price has one value in all rows, so there is nothing to learn"),
        ("a,price\n" + "1,5\n1,6\n" * 50, "no column beside the target is of use for a model: a: one value only: '1'"),
        ("a,price\n1,5\n2,6\n3,8\n3,9\n", "2 clean training rows and 2 holdout rows are too few for a model"),
        ("a,price\n\xfc,5\n", "line 2, byte 0xFC at column 1: the file is not UTF-8; save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_table_without_a_model_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    """It names the file and the reason, and nothing is written."""
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Stop) as caught:
        write_proposal(path, "price", tmp_path / "a.toml")
    assert str(caught.value).startswith(f"{path}: {line}")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "a.toml").exists()


def test_the_name_of_the_file_must_be_that_of_a_dataset_file(tmp_path: Path) -> None:
    """A start takes a path that ends in .toml only."""
    houses(tmp_path / "a.csv")
    done = propose(tmp_path, CSV="a.csv", TARGET="price", OUT="a.txt")
    assert (done.returncode, done.stderr) == (1, "OUT=a.txt: use a name that ends in .toml\n")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    houses(tmp_path / "a.csv")
    with pytest.raises(Stop, match=r"OUT=.*a\.toml: cannot be written: No such file or directory"):
        write_proposal(tmp_path / "a.csv", "price", tmp_path / "gone" / "a.toml")


def test_the_text_is_decoded_as_a_start_does(tmp_path: Path) -> None:
    """A byte order mark is no part of the first header."""
    path = tmp_path / "a.csv"
    houses(path)
    path.write_bytes(path.read_text().encode("utf-8-sig"))
    write_proposal(path, "price", tmp_path / "a.toml")
    with open_text(path) as text:
        assert text.readline().startswith("Rooms")
    assert load_dataset(str(tmp_path / "a.toml")).names == ["rooms", "kind", "price"]


def test_a_parquet_file_has_its_types(tmp_path: Path) -> None:
    """A time, a decimal, a boolean with gaps, an empty column, and a list."""
    rows, first = 200, datetime(2020, 1, 1, 3, 4)  # noqa: DTZ001 - a time without a zone, as most files have
    table = {
        "sold": pa.array([first + timedelta(hours=9 * i) for i in range(rows)]),
        "area": pa.array([Decimal("1.25") + i % 17 for i in range(rows)]),
        "garden": pa.array([[True, False, None][i % 3] for i in range(rows)]),
        "nothing": pa.nulls(rows),
        "tags": pa.array([[i % 3] for i in range(rows)]),
        "price": pa.array([100 + i * 7 % 91 for i in range(rows)]),
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    report = write_proposal(tmp_path / "a.parquet", "price", tmp_path / "a.toml")
    dataset = load_dataset(str(tmp_path / "a.toml"))
    kinds = {"sold": "date", "area": "number", "garden": "boolean", "tags": "category", "price": "number"}
    assert {column.name: column.kind for column in dataset.columns} == kinds
    assert "200 rows: 134 complete; 66 with gaps: garden missing 66" in report[1]


def test_a_parquet_file_without_columns_is_refused(tmp_path: Path) -> None:
    """As one without rows."""
    pq.write_table(pa.table({}), tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet", "price", tmp_path / "a.toml").endswith("has a header, but no rows")
