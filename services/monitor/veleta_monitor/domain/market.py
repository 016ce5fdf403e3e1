"""The level of the market in the served version, and its updates: a price index of the user's own data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from veleta.dataset import Period
from veleta.intervals import DEVIATIONS
from veleta.periods import period_name, period_of
from veleta_monitor.domain.formatting import NO_VALUE, format_number
from veleta_monitor.domain.table import Cell, Column, Table, Tone, time_cell

METHODS: Mapping[str, str] = {
    "none": "no change is expected after it",
    "last": "it is expected to stay",
    "trend": "a part of its last changes is expected to go on",
}
"""By method: what is expected of the next period."""
OUTCOME_TONES: Mapping[str, Tone] = {
    "moved": "good",
    "confirmed": "good",
    "accepted": "good",
    "waiting": "warn",
    "pinned": "warn",
}
"""Tones of updates that changed the level, or that a person should know. All others are neutral."""


@dataclass(frozen=True)
class LevelPoint:
    """The level of a period: a factor of the first period's prices, and the standard error of its logarithm.

    `name` is that of the period, as `2014-05`, and `period` its first day.
    """

    name: str
    period: date
    factor: float
    error: float


@dataclass(frozen=True)
class MarketLevel:
    """The level of the served version on the day `as_of`. `since` is the first period, as `2014-05`, and `first`
    the day of its first row.

    `waiting` is the factor that a batch shows, if it would move the level too far.
    """

    every: Period
    method: str
    since: str
    first: date
    as_of: date
    factor: float
    error: float
    pinned: bool
    waiting: float | None
    points: Sequence[LevelPoint]


@dataclass(frozen=True)
class LevelUpdate:
    """A row of the table of updates. The factor is one of the prices of the version's first period."""

    seq: int
    version: int
    period: date
    factor: float
    error: float
    rows: int
    outcome: str
    reason: str
    actor: str
    updated_at: datetime | None


def parse_market(body: Mapping[str, Any] | None) -> MarketLevel | None:
    """The part `market` of GET /model; None without a market. Raises KeyError, TypeError or ValueError."""
    if not body:
        return None
    every: Period = body["every"]
    waiting = body["waiting"]
    return MarketLevel(
        every=every,
        method=str(body["method"]),
        since=str(body["since"]),
        first=date.fromisoformat(body["first"]),
        as_of=date.fromisoformat(body["as_of"]),
        factor=float(body["factor"]),
        error=float(body["error"]),
        pinned=bool(body["pinned"]),
        waiting=None if waiting is None else float(waiting),
        points=[
            LevelPoint(period_name(period_of(day, every), every), day, float(each["factor"]), float(each["error"]))
            for each in body["periods"]
            for day in [date.fromisoformat(each["period"])]
        ],
    )


def band(factor: float, error: float) -> tuple[float, float]:
    """The bounds of a factor in which the true one is with a probability of 80 %."""
    return factor * math.exp(-DEVIATIONS * error), factor * math.exp(DEVIATIONS * error)


def change_text(factor: float) -> str:
    """A factor as a change in percent: `+7.4 %`."""
    return f"{100 * (factor - 1):+.1f} %"


def index_text(factor: float) -> str:
    """A factor as a price index, 100 in the first period: `107.4`."""
    return f"{100 * factor:.1f}"


def market_sentences(market: MarketLevel) -> list[str]:
    """The present level with its band, what it follows, and whether something holds it."""
    low, high = map(change_text, band(market.factor, market.error))
    changed = f"Prices have changed by {change_text(market.factor)}"
    follows = f"The level follows sales up to {market.as_of}. Its period is a {market.every}"
    sentences = [
        f"{changed} since {market.since}: {low} to {high} with a probability of 80 %.",
        f"{follows}, and {METHODS.get(market.method, market.method)}.",
    ]
    if market.pinned:
        sentences.append("A person pinned the level: batches do not move it.")
    if market.waiting is not None:
        waits = f"The level waits: a batch shows {change_text(market.waiting)}, and one alone may not move it so far"
        sentences.append(f"{waits}. It moves if the next batch shows the same, or by make level ACCEPT=1.")
    return sentences


def updates_table(updates: Sequence[LevelUpdate], now: datetime) -> Table:
    """The updates in the given order."""
    columns = (
        Column("Update", numeric=True), Column("Period from"), Column("Index", numeric=True), Column("Outcome"),
        Column("Rows", numeric=True), Column("Reason", wide=True), Column("When"),
    )  # fmt: skip
    return Table(columns, [_row(update, now) for update in updates])


def _row(update: LevelUpdate, now: datetime) -> list[Cell]:
    low, high = band(update.factor, update.error)
    return [
        Cell(str(update.seq), note=f"version {update.version}"),
        Cell(update.period.isoformat()),
        Cell(index_text(update.factor), note=f"{index_text(low)} to {index_text(high)}"),
        Cell(
            update.outcome,
            tone=OUTCOME_TONES.get(update.outcome, "neutral"),
            note=f"by {update.actor}" if update.actor else "",
        ),
        Cell(format_number(update.rows)),
        Cell(update.reason or NO_VALUE),
        time_cell(update.updated_at, now),
    ]
