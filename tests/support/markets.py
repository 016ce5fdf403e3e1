"""A dataset with a market, and rows and versions of which the level is known."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from support.drift_models import WITHOUT_RULES
from support.listings import api_rows
from veleta.market import Level
from veleta.market_levels import MarketLevels
from veleta.periods import first_day, period_of

TIME = "prev_sold_date"
MARKET = (
    WITHOUT_RULES.replace('policy = "seed"', 'policy = "evidence"')
    .replace("bands = [200_000, 400_000, 800_000]\n", "")
    .replace('kind = "date"\n', 'kind = "date"\nfeature = "none"\n')
    + f'\n[market]\ntime = "{TIME}"\nevery = "month"\n'
)
"""The dataset file: the date of a row is that of its sale."""
FIRST = period_of(date(2020, 1, 1), "month")
LEARNT = 6
"""The months that the versions learnt, from FIRST on."""


def month(number: int) -> date:
    """The first day of a month; the first one is 0."""
    return first_day(FIRST + number, "month")


def market_levels() -> MarketLevels:
    """Those of a training in a market that did not change."""
    now = Level(0.0, 0.003)
    return MarketLevels(
        time=TIME,
        every="month",
        method="last",
        step=0.01,
        levels={FIRST + number: now for number in range(LEARNT)},
        now=now,
        first=month(0),
        last=month(LEARNT - 1),
    )


def planted_rows(levels: Sequence[float], rows: int, seed: int = 1, first: int = FIRST) -> list[dict[str, Any]]:
    """So many rows of each month from `first` on, with these levels of prices (logarithms)."""
    found: list[dict[str, Any]] = [*api_rows(0, rows * len(levels), seed)]
    for position, row in enumerate(found):
        sold = first_day(first + position // rows, "month")
        row[TIME] = sold.replace(day=1 + position % 28).isoformat()
        row["price"] = round(float(row["price"]) * math.exp(levels[position // rows]), 2)
    return found


def market_rows(number: int, count: int = 1_000, seed: int = 1, factor: float = 1.0) -> list[dict[str, Any]]:
    """Rows of one market that were sold in a month, whose prices are multiplied by a factor."""
    sold = {TIME: f"{month(number):%Y-%m}-15"}
    return [{**row, **sold, "price": float(row["price"]) * factor} for row in api_rows(4, count, seed)]
