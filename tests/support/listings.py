"""Generates listings in the format of the Kaggle file. The same arguments give the same listings."""

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

HEADER = (
    "brokered_by", "status", "price", "bed", "bath", "acre_lot",
    "street", "city", "state", "zip_code", "house_size", "prev_sold_date",
)  # fmt: skip
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
"""A line of the Kaggle file, by column."""
OFTEN_EMPTY = ("bed", "bath", "acre_lot", "house_size", "prev_sold_date")
TEXTS = ("status", "city", "state", "prev_sold_date")
INCOMPLETE_EVERY = 4
"""One row with an empty cell follows this many complete rows."""


@dataclass(frozen=True)
class Town:
    """A town. `level` is the price of a square foot in USD."""

    city: str
    state: str
    zip_code: int
    level: float


TOWNS = (
    Town("Ponce", "Puerto Rico", 731, 70),
    Town("Springfield", "Massachusetts", 1109, 115),
    Town("East Windsor", "Connecticut", 6016, 150),
    Town("Scranton", "Pennsylvania", 18504, 95),
    Town("Orlando", "Florida", 32801, 190),
    Town("Columbus", "Ohio", 43215, 130),
    Town("Houston", "Texas", 77002, 160),
    Town("San Diego", "California", 92101, 480),
)


@dataclass(frozen=True)
class Listing:
    """One complete row."""

    status: str
    price: float
    bed: int
    bath: int
    acre_lot: float
    town: Town
    house_size: int
    sold: date

    def cells(self, broker: int, street: int) -> dict[str, str]:
        """The row as in the file: whole numbers with `.0`, rooms without, the ZIP code with its leading zero."""
        return {
            "brokered_by": f"{broker}.0",
            "status": self.status,
            "price": f"{self.price}",
            "bed": f"{self.bed}",
            "bath": f"{self.bath}",
            "acre_lot": f"{self.acre_lot}",
            "street": f"{street}.0",
            "city": self.town.city,
            "state": self.town.state,
            "zip_code": f"{self.town.zip_code:05}",
            "house_size": f"{self.house_size}.0",
            "prev_sold_date": self.sold.isoformat(),
        }


KINDS: tuple[Callable[[Listing], bool], ...] = (
    lambda r: r.price <= 300_000 and not _in_massachusetts(r) and r.status == "for_sale" and r.house_size > 1_500,
    lambda r: r.price <= 300_000 and not _in_massachusetts(r) and r.status == "for_sale" and r.house_size <= 1_500,
    lambda r: r.price <= 300_000 and not _in_massachusetts(r) and r.status == "sold",
    lambda r: r.price <= 300_000 and _in_massachusetts(r),
    lambda r: 300_000 < r.price <= 500_000,
    lambda r: r.price > 500_000,
)
"""By place: the condition for a row of this batch (docs/data-api.md, The six batches)."""


def write_csv(path: Path, rows_per_kind: int, seed: int) -> None:
    """Write `rows_per_kind` complete rows for each of the six batches, shuffled, and rows with an empty cell."""
    rng = random.Random(seed)  # noqa: S311 - test data, no secret
    listings = [_listing(kind, rng) for kind in KINDS for _ in range(rows_per_kind)]
    rng.shuffle(listings)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        for number, listing in enumerate(listings, 1):
            cells = listing.cells(broker=rng.randrange(1, 110_000), street=1_000_000 + number)
            writer.writerow(cells)
            if number % INCOMPLETE_EVERY == 0:
                writer.writerow({**cells, rng.choice(OFTEN_EMPTY): ""})


def api_rows(place: int, count: int, seed: int) -> list[dict[str, float | str]]:
    """Complete rows of the batch at `place`, as the data API serves them."""
    rng = random.Random(seed)  # noqa: S311 - test data, no secret
    listings = [_listing(KINDS[place], rng) for _ in range(count)]
    cells = [r.cells(broker=rng.randrange(1, 110_000), street=rng.randrange(1, 2_000_000)) for r in listings]
    return [{name: value if name in TEXTS else float(value) for name, value in row.items()} for row in cells]


def repeat_csv(csv_file: Path, path: Path, times: int) -> None:
    """Write a larger file: the rows of `csv_file`, repeated."""
    header, *lines = csv_file.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(header + "".join(lines) * times, encoding="utf-8")


def _in_massachusetts(listing: Listing) -> bool:
    return listing.town.state == "Massachusetts"


def _listing(kind: Callable[[Listing], bool], rng: random.Random) -> Listing:
    """Draw until a listing is of this kind. So prices depend on size, rooms and town in every batch."""
    while not kind(listing := _draw(rng)):
        pass
    return listing


def _draw(rng: random.Random) -> Listing:
    town = rng.choice(TOWNS)
    size = round(rng.lognormvariate(7.4, 0.4))
    bed = max(1, min(8, round(size / 600 + rng.gauss(0, 0.7))))
    listing = Listing(
        status=rng.choice(("for_sale", "sold")),
        price=0.0,
        bed=bed,
        bath=max(1, round(bed * 0.7 + rng.gauss(0, 0.4))),
        acre_lot=round(rng.lognormvariate(-1.2, 0.8), 2),
        town=town,
        house_size=size,
        sold=date(1995, 1, 1) + timedelta(days=rng.randrange(10_000)),
    )
    return replace(listing, price=_price(listing, rng))


def _price(listing: Listing, rng: random.Random) -> float:
    """In USD, rounded to 100: the level of the town times the size, plus rooms and land, with 10 % noise."""
    base = listing.town.level * listing.house_size + 9_000 * listing.bed + 12_000 * listing.bath
    return round((base + 40_000 * min(listing.acre_lot, 2)) * rng.lognormvariate(0, 0.1), -2)
