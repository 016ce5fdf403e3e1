"""Names and titles of columns, from headers."""

from pathlib import Path

import pytest

from veleta_source.proposal.names import column_names, dataset_name, title_of, words


def test_headers_become_valid_names() -> None:
    """Lower case letters, digits and `_`, a letter first, without accents, at most 48 characters."""
    headers = ["MS SubClass", "Year Remod/Add", "1st Flr SF", "Größe (m²)", "Straße", "价格", "x" * 60]
    assert column_names(headers) == [
        "ms_subclass", "year_remod_add", "column_1st_flr_sf", "grosse_m2", "strasse", "column_6", "x" * 48,
    ]  # fmt: skip


def test_names_are_unique_and_not_reserved() -> None:
    """Names of the tables' own columns, and of features of places and missing values, cannot be used."""
    assert column_names(["a b", "A-B", "number", "missing_x", "place_y", "x" * 60, "x" * 61]) == [
        "a_b", "a_b_2", "column_number", "missing_x", "column_place_y", "x" * 48, f"{'x' * 46}_2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("kc_house_data.csv", "kc_house_data"),
        ("My Houses.CSV.gz", "my_houses"),
        ("2016.parquet", "data_2016"),
        ("listings.csv", "listings_2"),
        ("价格.csv", "dataset"),
        ("a.b.zip", "a_b"),
    ],
)
def test_the_dataset_is_named_after_the_file(file: str, name: str) -> None:
    """But not as a shipped one."""
    assert dataset_name(Path("folder") / file, ["listings"]) == name


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("sqft_living", "Sqft living"),
        ("1st  Flr SF", "1st Flr SF"),
        ("__", "__"),
        ("\u202ea\x1b", "A"),
        ("\x1b", "name"),
        ("b" * 200, f"B{'b' * 99}"),
    ],
)
def test_a_title_is_the_header_for_people(header: str, title: str) -> None:
    """Without `_` and what shows nothing, with a capital, and not endless."""
    assert title_of(header, "name")[1:] == title[1:]


def test_a_header_has_words() -> None:
    """Whatever separates them."""
    assert words("lot_id") == words("Lot ID") == words("LotId") == words("lotId") == {"lot", "id"}
