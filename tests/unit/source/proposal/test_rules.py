"""What follows from the columns for the whole file, and how it is written."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from veleta.dataset import Dataset, load_dataset
from veleta.errors import Stop
from veleta_source.propose import write_proposal

Lines = Sequence[Sequence[object]]


def proposal(folder: Path, lines: Lines, target: str = "price") -> tuple[Dataset, str]:
    """The dataset file for a table, the header first, and its text."""
    path = folder / "table.csv"
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    write_proposal(path, target, folder / "table.toml")
    return load_dataset(str(folder / "table.toml")), (folder / "table.toml").read_text()


def prices(rows: int) -> list[int]:
    """Prices from 100,000 to 900,000, of which about a third are the same."""
    chance = random.Random(rows)  # noqa: S311 - no secret
    return [chance.randrange(100, 900) * 1000 for _ in range(rows)]


def test_the_bounds_of_the_target_are_wide_and_above_zero(tmp_path: Path) -> None:
    """Twice the quantiles. The rows without a target are counted."""
    found = [*prices(2994), 0, -5, "", "NA", "POA", 90_000_000]
    dataset, text = proposal(tmp_path, [("rooms", "price"), *((i % 5, price) for i, price in enumerate(found))])
    assert dataset.cleaning["price"] == (50_000, 1_800_000)
    said = " ".join(text.replace("\n#", "").split())
    assert "1 of 3,000 rows are beyond them; 3 have no number; 2 are not above 0." in said
    assert dataset.by_name["price"].optional is False
    assert dataset.by_name["price"].missing == ["NA"]


def test_a_number_far_above_all_others_is_not_learnt(tmp_path: Path) -> None:
    """As 33 bedrooms. Other numbers have no bounds, and all bounds together leave out few rows."""
    rooms = [1 + i % 6 for i in range(1999)] + [99]
    lines = [(room, i % 90, price) for i, (room, price) in enumerate(zip(rooms, prices(2000), strict=True))]
    dataset, text = proposal(tmp_path, [("rooms", "area", "price"), *lines])
    assert dataset.cleaning.keys() == {"price", "rooms"}
    assert dataset.cleaning["rooms"] == (0, 18)
    assert "above it: 1 of 2,000, the highest is 99." in text


def test_rows_of_one_thing_share_its_id(tmp_path: Path) -> None:
    """The comment has the number of rows of a thing that another row has."""
    lines = [(7_000_000 + i * i if i < 190 else 7_000_000, i % 5, price) for i, price in enumerate(prices(200))]
    dataset, text = proposal(tmp_path, [("id", "rooms", "price"), *lines])
    assert dataset.identity == ["id"]
    assert "id has 190 different values in 200 rows; 10 rows are of a thing that another row has" in text
    assert dataset.drift.ignore == ["id"]


def test_an_id_that_several_rows_have_is_that_of_the_thing(tmp_path: Path) -> None:
    """And not that of the sale, which each row has alone. A row without it is a thing of its own."""
    lines = [
        (9_000_000 + i * 3, "" if i == 7 else 5_000_000 + i * 7 // 12, i % 5, price)
        for i, price in enumerate(prices(400))
    ]
    dataset, text = proposal(tmp_path, [("sale id", "parcel id", "rooms", "price"), *lines])
    assert dataset.identity == ["parcel_id"]
    assert dataset.by_name["parcel_id"].optional
    said = " ".join(text.replace("\n#", "").split())
    assert "1 have no value, and are things of their own; it could also be sale_id" in said


def test_an_address_identifies_a_house_better_than_an_id_that_each_row_has_alone(tmp_path: Path) -> None:
    """The id may be that of the sale."""
    lines = [(9_000_000 + i * 3, f"{i * 3 // 4} Hill Rd", i % 5, price) for i, price in enumerate(prices(400))]
    dataset, _ = proposal(tmp_path, [("listing id", "Address", "rooms", "price"), *lines])
    assert dataset.identity == ["address"]


def test_a_target_that_two_headers_match_is_named_exactly(tmp_path: Path) -> None:
    """Otherwise the line names both."""
    lines = [("Rooms", "Price", "PRICE"), *((i % 5, price, price + i) for i, price in enumerate(prices(200)))]
    with pytest.raises(Stop, match="TARGET=price may be 'Price' or 'PRICE': write it exactly as one of them"):
        proposal(tmp_path, lines)
    dataset, _ = proposal(tmp_path, lines, "PRICE")
    assert dataset.by_name[dataset.target].header == "PRICE"


def test_an_address_identifies_with_its_place(tmp_path: Path) -> None:
    """If there is no id. Without both, all inputs do."""
    lines = [(f"{i} Hill Rd", f"town {i % 3}", price) for i, price in enumerate(prices(200))]
    dataset, _ = proposal(tmp_path, [("Address", "City", "price"), *lines])
    assert dataset.identity == ["address", "city"]


@pytest.mark.parametrize(("days", "every"), [(2, "month"), (6, "quarter"), (25, "year"), (1, "month"), (0, None)])
def test_the_date_of_sale_divides_the_rows(tmp_path: Path, days: int, every: str | None) -> None:
    """Into 4 to 40 batches, of which the first is large enough for a training. The model does not use it.

    There are four rows a day, these days apart.
    """
    rows = 1600
    sold = [date(2010, 1, 1) + timedelta(days=days * (i // 4)) for i in range(rows)]
    built = [date(1950, 1, 1) + timedelta(days=i % 97) for i in range(rows)]
    lines = [(*each, i % 5) for i, each in enumerate(zip(built, sold, prices(rows), strict=True))]
    dataset, text = proposal(tmp_path, [("built", "date sold", "price", "rooms"), *lines])
    if every is None:
        assert (dataset.batches.by in (None, "built"), dataset.market) == (True, None)
        return
    assert (dataset.batches.by, dataset.batches.every) == ("date_sold", every)
    assert dataset.by_name["date_sold"].feature == "none"
    assert dataset.by_name["built"].is_feature
    assert dataset.market
    assert (dataset.market.time, dataset.market.every) == ("date_sold", None)
    assert f"batches by date_sold, one for each {every}" in text


@pytest.mark.parametrize(
    ("header", "other", "reason"),
    [
        ("date", "built", "date looks like the date of the row's own sale"),
        ("Closing day", "built", "closing_day looks like the date of the row's own sale"),
        ("day", "", "day is the only date, so it may be that of the row's own sale"),
        ("day", "built", ""),
        ("date built", "renewed", ""),
        ("bought", "", ""),
        ("prev_sold_date", "", ""),
        ("last sale", "", ""),
    ],
)
def test_the_date_of_the_rows_own_sale_is_that_of_a_market(
    tmp_path: Path, header: str, other: str, reason: str
) -> None:
    """By its header, or because there is no other date. That of an earlier sale says nothing about the price."""
    sold = [date(2010, 1, 1) + timedelta(days=i // 2) for i in range(600)]
    head, *lines = [(header, "price", "rooms"), *zip(sold, prices(600), (i % 5 for i in range(600)), strict=True)]
    built = [date(1950, 1, 1) + timedelta(days=i % 97) for i in range(600)]
    table = (
        [(*head, other), *((*line, day) for line, day in zip(lines, built, strict=True))] if other else [head, *lines]
    )
    dataset, text = proposal(tmp_path, table)
    assert dataset.batches.by
    assert (dataset.market.time if dataset.market else "") == (dataset.batches.by if reason else "")
    assert f"# Market: {reason}." in text if reason else "[market]" not in text


def test_a_column_may_have_the_name_of_one_that_a_market_adds(tmp_path: Path) -> None:
    """It gets another name."""
    sold = [date(2010, 1, 1) + timedelta(days=i // 2) for i in range(600)]
    lines = [("sold", "as_of", "price"), *zip(sold, (i % 5 for i in range(600)), prices(600), strict=True)]
    dataset, _ = proposal(tmp_path, lines)
    assert (dataset.market is not None, dataset.names) == (True, ["sold", "column_as_of", "price"])


def test_a_date_with_gaps_divides_nothing(tmp_path: Path) -> None:
    """Each row must be in a batch."""
    lines = [("" if i == 5 else date(2010, 1 + i % 12, 1), i % 5, price) for i, price in enumerate(prices(1200))]
    dataset, text = proposal(tmp_path, [("sold", "rooms", "price"), *lines])
    assert dataset.batches.by is None
    assert "Batches: sold has gaps: the rows become 6 equal parts in the order of the file." in text


def test_the_example_is_a_typical_row(tmp_path: Path) -> None:
    """A row of the file, near the medians and with the most frequent values."""
    lines = [(i % 9, "abca"[i % 4], "no" if i % 5 else "yes", price) for i, price in enumerate(prices(500))]
    dataset, _ = proposal(tmp_path, [("rooms", "kind", "garden", "price"), *lines])
    assert {name: dataset.example[name] for name in ("kind", "garden")} == {"kind": "a", "garden": False}
    assert 3 <= dataset.example["rooms"] <= 5
    assert 400_000 < dataset.example["price"] < 600_000


def test_parts_are_measured(tmp_path: Path) -> None:
    """Up to three categories with few values, and the quartiles of the target."""
    lines = [(*(f"{name}{i % 4}" for name in "abcd"), f"x{i % 50}", price) for i, price in enumerate(prices(500))]
    dataset, _ = proposal(tmp_path, [(*"abcd", "many", "price"), *lines])
    assert dataset.evaluation.slices == ["a", "b", "c"]
    assert dataset.evaluation.bands == sorted(dataset.evaluation.bands)
    assert len(dataset.evaluation.bands) == 3


def test_texts_beyond_a_row_of_mysql_are_left_out(tmp_path: Path) -> None:
    """Those that vary least, with the reason."""
    lines = [
        (*("ab"[(i * k) % (k + 2) > 0] for k in range(1, 71)), "xyz"[i % 3], price)
        for i, price in enumerate(prices(300))
    ]
    dataset, text = proposal(tmp_path, [(*(f"t{k}" for k in range(1, 71)), "varied", "price"), *lines])
    assert len(dataset.columns) == 61
    assert "varied" in dataset.names
    assert text.count("a row of MySQL has place for 60 texts of the 71") == 11


def test_comments_are_left_out_before_a_file_is_too_long(tmp_path: Path) -> None:
    """A dataset file has a greatest size. Without comments it has more columns."""
    for columns, has_comments in ((300, True), (600, False)):
        (tmp_path / "table.toml").unlink(missing_ok=True)
        lines = [(*range(i % 7, i % 7 + columns), price) for i, price in enumerate(prices(80))]
        dataset, text = proposal(tmp_path, [(*(f"a{k}" for k in range(columns)), "price"), *lines])
        assert len(dataset.columns) == columns + 1
        assert ("#" in text) is has_comments
    (tmp_path / "table.toml").unlink()
    with pytest.raises(Stop, match="has 1,201 columns of use, too many for a dataset file"):
        proposal(
            tmp_path,
            [(*(f"a{k}" for k in range(1200)), "price"), *((*range(i % 7, i % 7 + 1200), 100 + i) for i in range(80))],
        )


def test_a_written_text_is_what_the_file_has(tmp_path: Path) -> None:
    """Quotes, backslashes, escape sequences and invisible characters keep their meaning, and none is shown raw."""
    values = ['"""', "c\\d", "\u202e x", "\x1b[31m", "'''"]
    rows = [(values[0].replace('"', '""'), price) for price in prices(200)]
    lines = [(f'"{values[i % 5].replace(chr(34), chr(34) * 2)}"', i % 7, price) for i, (_, price) in enumerate(rows)]
    dataset, text = proposal(tmp_path, [('"x = 1 # [y]"', "\u202erooms", "price"), *lines])
    assert dataset.example["x_1_y"] in values
    assert text.replace("\n", "").isprintable()
    assert [column.title for column in dataset.columns] == ["X = 1 # [y]", "Rooms", "Price"]
