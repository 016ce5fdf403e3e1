"""How source places the lines of a CSV."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest

from support.listings import HEADER, write_csv
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta_source.adapters.spool import Batch, split
from veleta_source.domain.splitting import Splitter

DATASET = load_dataset("real_estate")
LINE = {
    "brokered_by": "103378.0",
    "status": "for_sale",
    "price": "105000.0",
    "bed": "3",
    "bath": "2",
    "acre_lot": "0.12",
    "street": "1962661.0",
    "city": "Adjuntas",
    "state": "Puerto Rico",
    "zip_code": "00601",
    "house_size": "1920.0",
    "prev_sold_date": "2019-06-28",
}


def place(**changes: str) -> int | None:
    """The place of LINE with some cells changed."""
    placed = Splitter(DATASET, list(LINE)).place(list({**LINE, **changes}.values()))
    return placed[0] if placed else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"house_size": "1500.0"}, 1),
        ({"price": "300000.0"}, 0),
        ({"status": "sold"}, 2),
        ({"state": "Massachusetts"}, 3),
        ({"state": "Massachusetts", "status": "sold", "house_size": "900.0"}, 3),
        ({"state": "Massachusetts", "price": "300001.0"}, 4),
        ({"price": "500000.0"}, 4),
        ({"price": "500000.5"}, 5),
        ({"status": "ready_to_build"}, None),
    ],
)
def test_the_first_rule_that_fits_gives_the_place(changes: dict[str, str], expected: int | None) -> None:
    """Rules are tried in the file's order, bounds included as declared; a row that no rule takes is left out."""
    assert place(**changes) == expected


@pytest.mark.parametrize("column", list(LINE))
def test_a_row_with_a_gap_is_left_out(column: str) -> None:
    """Only complete rows are handed out."""
    assert place(**{column: ""}) is None


@pytest.mark.parametrize(
    "changes",
    [{"price": "cheap"}, {"bed": "nan"}, {"bath": "inf"}, {"prev_sold_date": "28/06/2019"}, {"city": "x" * 256}],
)
def test_a_cell_that_does_not_convert_is_a_gap(changes: dict[str, str]) -> None:
    """A complete row fits the dataset in every column."""
    assert place(**changes) is None


def test_a_short_line_is_left_out() -> None:
    """A line that ends early has gaps at its end."""
    assert Splitter(DATASET, list(LINE)).place(list(LINE.values())[:-1]) is None


def test_numbers_become_floats_in_the_dataset_s_order() -> None:
    """The zip is a float without its leading zero, wherever the file has its column."""
    backwards = dict(reversed(LINE.items()))
    placed = Splitter(DATASET, list(backwards)).place(list(backwards.values()))
    assert placed is not None
    row = placed[1]
    assert list(row) == DATASET.names
    assert (row["zip_code"], row["bed"], row["city"]) == (601.0, 3.0, "Adjuntas")
    assert orjson.dumps(row["bed"]) == b"3.0"


def test_a_header_without_a_declared_column_names_it() -> None:
    """Who gives the wrong file learns what is wrong with it."""
    with pytest.raises(Stop, match="lacks: price, zip_code"):
        Splitter(DATASET, [name for name in LINE if name not in ("price", "zip_code")])


def test_batches_are_numbered_by_place_without_gaps(tmp_path: Path) -> None:
    """A batch that would be empty is left out and the rest move up."""
    csv = tmp_path / "a.csv"
    _write(csv, [LINE, {**LINE, "price": "700000.0"}, {**LINE, "status": "sold"}, {**LINE, "bed": "4"}])
    batches = split(csv, tmp_path / "spool", DATASET, lambda _lines: None)
    assert [[row["price"] for row in _rows(batch)] for batch in batches] == [[105000.0] * 2, [105000.0], [700000.0]]
    assert [row["bed"] for row in _rows(batches[0])] == [3.0, 4.0]


def test_all_complete_listings_are_handed_out(tmp_path: Path) -> None:
    """What the made-up file holds is what the rules give: each kind whole, gaps left out."""
    csv = tmp_path / "a.csv"
    write_csv(csv, rows_per_kind=20, seed=1)
    batches = split(csv, tmp_path / "spool", DATASET, lambda _lines: None)
    assert [len(_rows(batch)) for batch in batches] == [20] * 6
    assert len(csv.read_text().splitlines()) == 1 + 120 + 30
    assert Counter(row["state"] for row in _rows(batches[3])) == {"Massachusetts": 20}


def test_a_second_split_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    """The spool belongs to one file: batches of another one must not stay."""
    csv, spool = tmp_path / "a.csv", tmp_path / "spool"
    _write(csv, [LINE, {**LINE, "status": "sold"}])
    split(csv, spool, DATASET, lambda _lines: None)
    _write(csv, [LINE])
    assert len(split(csv, spool, DATASET, lambda _lines: None)) == len(list(spool.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "no header"),
        (b"\xff\xfe", "utf-8"),
        (",".join(HEADER).encode(), "no complete row"),
        (",".join(HEADER).encode() + b'\n"' + b"x" * 200_000 + b'"', "field larger"),
    ],
)
def test_what_cannot_be_split_says_why(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A file that cannot be handed out stops the service with one clear line."""
    csv = tmp_path / "a.csv"
    if content is not None:
        csv.write_bytes(content)
    with pytest.raises(Stop, match=message):
        split(csv, tmp_path / "spool", DATASET, lambda _lines: None)


def test_splitting_ends_when_the_service_does(tmp_path: Path) -> None:
    """Whoever stops source does not wait for millions of lines."""
    csv = tmp_path / "a.csv"
    _write(csv, [LINE])

    def stopping(_lines: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        split(csv, tmp_path / "spool", DATASET, stopping)


def _write(csv: Path, lines: list[dict[str, str]]) -> None:
    csv.write_text("\n".join(",".join(cells) for cells in (LINE, *(line.values() for line in lines))) + "\n")


def _rows(batch: Batch) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = orjson.loads(b"[" + b"".join(batch.pieces()) + b"]")
    assert batch.size == sum(map(len, batch.pieces()))
    return rows
