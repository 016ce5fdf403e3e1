"""Tables of places: the shipped one, and any file."""

import csv
import gzip
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.places import MAX_BYTES, Places, load_places

FOLDER = ROOT / "shared/veleta/places"
TABLE = b"""key,city,state,income,county,note
1,Alba,North,10,Upper,a
2,Alba,North,20,Upper,7
3,Berna,North,,Lower,
4,Berna,North,60,Upper,
5,Alba,South,,Lower,c
"""


@pytest.fixture(scope="module")
def us_zip() -> Places:
    return load_places("us_zip")


@pytest.fixture
def small() -> Places:
    return Places("small", TABLE)


def test_the_shipped_table_is_the_one_that_was_built(us_zip: Places) -> None:
    """`make places` writes the digest beside it. A model names the digest of its table."""
    assert us_zip.digest == (FOLDER / "us_zip.csv.sha256").read_text().split()[0]
    assert us_zip.name == "us_zip"


def test_the_shipped_table_is_small_and_has_no_time_stamp() -> None:
    """It is a part of each image and wheel; building it again gives the same bytes."""
    data = (FOLDER / "us_zip.csv.gz").read_bytes()
    assert len(data) < 2_000_000
    assert data[4:8] == bytes(4)


def test_the_table_is_read_without_numpy_and_pandas() -> None:
    """Inference and drift read it too. pandas alone takes more memory than the table."""
    code = "import sys; from veleta.places import load_places; load_places('us_zip'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pandas"} & set(done.stdout.split())


def test_the_shipped_table_has_a_row_for_each_zip_code() -> None:
    """Five digits, sorted, each once, with the city and the full name of the state, and numbers in their ranges."""
    with gzip.open(FOLDER / "us_zip.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [row["zip_code"] for row in rows]
    assert len(keys) > 41_000
    assert keys == sorted(set(keys))
    assert all(re.fullmatch(r"\d{5}", key) for key in keys)
    assert all(row["city"] and row["state"] for row in rows)
    assert {"Connecticut", "District of Columbia", "Puerto Rico", "Virgin Islands"} < {row["state"] for row in rows}
    assert len({row["state"] for row in rows}) == 54  # the Marshall Islands too
    for column in set(rows[0]) - {"zip_code", "city", "state", "county"}:
        values = [float(row[column]) for row in rows if row[column]]
        assert len(values) > 24_000, column
        lowest, highest = _RANGES.get(column, (0, 1) if "share" in column else (0, 3e7))
        assert lowest <= min(values) < max(values) <= highest, column


_RANGES = {"latitude": (-15, 72), "longitude": (-180, 175), "northeast": (-140, 160), "northwest": (-140, 210)}


def test_the_shipped_table_says_nothing_of_prices(us_zip: Places) -> None:
    """A table with labels would leak them into the holdout."""
    columns = {*us_zip.numbers, *us_zip.texts}
    assert load_dataset("real_estate").target not in columns
    assert not [column for column in columns if re.search("price|value|rent|sale|sold", column)]


@pytest.mark.parametrize(
    ("key", "county", "facts"),
    [
        ("06016", "Capitol Region", {"latitude": 41.9, "longitude": -72.54, "population": 6230, "land_km2": 38.8}),
        ("10001", "New York", {"latitude": 40.75, "people_per_km2": 13_100, "nearest_100k_population": 8_800_000}),
        ("90210", "Los Angeles", {"latitude": 34.09, "longitude": -118.41, "wages_per_person": 73_000}),
        ("00601", "Adjuntas", {"latitude": 18.16, "longitude": -66.72, "population": 18_600}),
        ("60601", "Cook", {"distance_500k_km": 4.78, "population_80_km": 9_140_000, "distance_100k_km": 4.78}),
    ],
)
def test_the_shipped_table_knows_places(us_zip: Places, key: str, county: str, facts: dict[str, float]) -> None:
    """Broad Brook, Manhattan, Beverly Hills, Adjuntas, and the Loop of Chicago."""
    place = us_zip.find(key)
    assert dict(zip(us_zip.texts, place.texts, strict=True)) == {"county": county}
    numbers = dict(zip(us_zip.numbers, place.numbers, strict=True))
    assert {column: numbers[column] for column in facts} == facts


def test_a_column_is_numeric_if_all_its_values_are(small: Places) -> None:
    """Or empty. The key, the city and the state are no values."""
    assert small.numbers == ("income",)
    assert small.texts == ("county", "note")
    assert (list(small.find("2").numbers), list(small.find("2").texts)) == ([20.0], ["Upper", "7"])
    assert math.isnan(small.find("3").numbers[0])


def test_a_key_is_found_whatever_its_case_and_the_blanks_around_it() -> None:
    """As people write postcodes."""
    table = Places("codes", b"postcode,income\nSW1A 1AA,7\n")
    assert list(table.find(" sw1a 1aa ").numbers) == [7.0]


@pytest.mark.failure("F363")
def test_an_unknown_key_has_the_mean_of_its_city(small: Places) -> None:
    """Of the city in that state, without case and surrounding blanks; a value that is empty does not count."""
    place = small.find("9", " ALBA", "north ")
    assert (list(place.numbers), list(place.texts)) == ([15.0], ["Upper", ""])
    assert list(small.find("9", "Berna", "North").numbers) == [60.0]


@pytest.mark.failure("F363")
def test_an_unknown_city_has_the_mean_of_its_state(small: Places) -> None:
    """A text is that of more than half of the places."""
    place = small.find("9", "Nowhere", "North")
    assert (list(place.numbers), list(place.texts)) == ([30.0], ["Upper", ""])
    assert list(small.find("9", "", "North").texts) == ["Upper", ""]
    assert math.isnan(small.find("9", "Alba", "South").numbers[0])


@pytest.mark.failure("F363")
@pytest.mark.parametrize("names", [("", ""), ("Alba", ""), ("Nowhere", "Nowhere")])
def test_nothing_is_known_of_an_unknown_place(small: Places, names: tuple[str, str]) -> None:
    """A city without its state may be another one."""
    place = small.find("9", *names)
    assert all(map(math.isnan, place.numbers))
    assert list(place.texts) == ["", ""]


@pytest.mark.failure("F363")
def test_unknown_texts_take_no_memory(small: Places) -> None:
    """A request may send any text. Only the means of the table's own cities and states are stored."""
    for number in range(1000):
        small.find(f"{number}x", f"city {number}", f"state {number % 7}")
        small.find(f"{number}x", f"city {number}", "North")
    assert small._means.keys() == {("", "north")}


def test_a_table_may_have_neither_city_nor_state() -> None:
    """Then an unknown key has no values. With cities alone, the state of a row does not matter."""
    assert math.isnan(Places("plain", b"key,income\n1,7\n").find("2", "Alba", "North").numbers[0])
    cities = Places("cities", b"key,city,income\n1,Alba,7\n2,,9\n")
    assert list(cities.find("3", "Alba", "North").numbers) == [7.0]
    assert math.isnan(cities.find("3", "", "").numbers[0])


@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_any_file_can_be_a_table(tmp_path: Path, name: str) -> None:
    """Compressed or not, with a byte order mark and Windows' line ends, quotes and empty lines."""
    data = b'\xef\xbb\xbfkey,county,size\r\n1,"a, b",3\r\n\r\n2,"c\nd",\r\n'
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    table = load_places(str(path))
    assert (table.numbers, table.texts) == (("size",), ("county",))
    assert list(table.find("1").texts) == ["a, b"]
    assert load_places(str(path)) is table


@pytest.mark.failure("F362")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1 must name the columns"),
        (b"key,city,state\n1,a,b\n", "line 1 must name the columns"),
        (b"06016,Broad Brook,3\n", "line 1: '06016' is no name of a column: use 1 to 48 lower case letters"),
        (b"key,size,size\n1,2,3\n", "line 1: the column size is repeated: rename one"),
        (b"key,size\n", "there is no row after the header: add the places"),
        (b"key,size\n1,2\n2,3,4\n", "line 3: there are 3 fields, and 2 in the header"),
        (b"key,size\n1,2\n ,3\n", "line 3: the key is missing: add it, or leave out the row"),
        (b"key,size\nA,2\na ,3\n", "line 3: the key a  is repeated: leave out one of its rows"),
        (b"key,size\n1,inf\n", "a number is infinite: leave its field empty"),
        (b"key,county\n1,Do\xf1a Ana\n", "line 2 is not UTF-8: save the file as UTF-8"),
        (b'key,county\n1,"a\n', "line 2: this is not CSV: unexpected end of data"),
        (b"key,county\n1," + b"a" * 200_000, "line 2: this is not CSV: field larger than field limit"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """With the file, the line, and what to do."""
    path = tmp_path / "own.csv"
    path.write_bytes(data)
    with pytest.raises(Stop, match=re.escape(f"places {path}: {reason}")):
        load_places(str(path))


@pytest.mark.failure("F362")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"key,size\n1,2\n", "this is no gzip file, or it is damaged: write it again"),
        (gzip.compress(TABLE, mtime=0)[:-9], "this is no gzip file, or it is damaged: write it again"),
        (gzip.compress(bytes(MAX_BYTES + 1), mtime=0), "the table is larger than 32 MiB: leave out rows or columns"),
    ],
)
def test_a_wrong_gzip_file_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """Also one that would fill the memory."""
    path = tmp_path / "own.csv.gz"
    path.write_bytes(data)
    with pytest.raises(Stop, match=re.escape(f"places {path}: {reason}")):
        load_places(str(path))


@pytest.mark.failure("F362")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("us_zp", "places us_zp: there is no such table: use us_zip or the path of a .csv or .csv.gz file"),
        ("no/such.csv", "places no/such.csv: there is no such file: use us_zip or the path of a .csv or .csv.gz file"),
    ],
)
def test_a_missing_table_is_refused(name: str, reason: str) -> None:
    """With the tables that there are."""
    with pytest.raises(Stop, match=re.escape(reason)):
        load_places(name)
