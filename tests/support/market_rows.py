"""A dataset with a market, and rows whose prices follow planted levels."""

import math
from collections.abc import Sequence
from datetime import date

from support.listings import api_rows
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.periods import first_day, period_of

TIME = "prev_sold_date"
FIRST = period_of(date(2020, 1, 1), "month")
"""The number of the first planted month."""


def market_dataset(rule: str = 'every = "month"', name: str = "real_estate") -> Dataset:
    """The columns of real_estate, with a market by months."""
    text = load_dataset("real_estate").text.partition("# How the course")[0]
    text = text.replace('name = "real_estate"', f'name = "{name}"', 1)
    text = text.replace(f'name = "{TIME}"', f'name = "{TIME}"\nfeature = "none"', 1).replace('"seed"', '"evidence"')
    return parse_dataset(f'{text}\n[market]\ntime = "{TIME}"\n{rule}\n')


def market_rows(levels: Sequence[float], rows: int, seed: int = 1, first: int = FIRST) -> list[dict[str, float | str]]:
    """So many rows of each month, as the API sends them, with these levels of prices (logarithms)."""
    found = api_rows(0, rows * len(levels), seed)
    for position, row in enumerate(found):
        month = position // rows
        day = first_day(first + month, "month")
        row[TIME] = day.replace(day=1 + position % 28).isoformat()
        row["price"] = round(float(row["price"]) * math.exp(levels[month]), 2)
    return found
