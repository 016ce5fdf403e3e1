"""A dataset with a market, the levels that a model of it has learnt, and updates of them."""

import math
from datetime import UTC, date, datetime
from pathlib import Path

from catboost import CatBoostRegressor

from support.dataset_changes import Change
from veleta.dataset import load_dataset, parse_dataset
from veleta.events.catalogue import LevelOutcome, LevelUpdated
from veleta.events.envelope import Event, Message, encode
from veleta.market import Level
from veleta.market_levels import MarketLevels, first_day_of
from veleta.periods import period_of
from veleta.ports import Version
from veleta.topics import topic

_DATE = 'name = "prev_sold_date"\ntitle = "Sold before on"\nkind = "date"\n'
_RULE = '[market]\ntime = "prev_sold_date"\n\n[cleaning]\n'
_WITH_MARKET = Change([(_DATE, f'{_DATE}feature = "none"\n'), ("[cleaning]\n", _RULE)])
MARKET_TEXT = _WITH_MARKET.text(load_dataset("real_estate").text)
"""The file of real_estate with a market."""
MARKET = parse_dataset(MARKET_TEXT)
FIRST, LAST = date(2014, 5, 2), date(2014, 7, 20)
"""The days of the first and of the last row that the model has learnt."""
LEARNT = MarketLevels(
    time="prev_sold_date",
    every="month",
    method="trend",
    step=0.01,
    levels={period_of(FIRST, "month") + number: Level(0.01 * number, 0.004) for number in range(3)},
    now=Level(0.025, 0.005, 0.005),
    first=FIRST,
    last=LAST,
)
"""Levels that rise by a hundredth each month from May to July, and are expected to rise by half of it."""
UPDATED_AT = datetime(2026, 1, 2, tzinfo=UTC)


def level_updated(
    version: Version,
    seq: int,
    as_of: date,
    value: float,
    slope: float = 0.0,
    outcome: LevelOutcome = "moved",
    model: str = MARKET.name,
) -> LevelUpdated:
    """An update of a version's level, with the error 0.006."""
    return LevelUpdated(
        model=model, version=version.number, run_id=version.run_id, seq=seq, period=first_day_of(as_of, "month"),
        as_of=as_of, value=value, error=0.006, slope=slope, rows=400, outcome=outcome, reason="test", cause=f"b/{seq}",
        waiting=math.log(2) if outcome == "waiting" else None, waiting_error=0.01 if outcome == "waiting" else None,
        pinned=outcome == "pinned",
    )  # fmt: skip


def level_message(update: LevelUpdated, at: datetime = UPDATED_AT) -> Message:
    """The record of an update in `levels`."""
    return encode(topic(update.model, "levels"), Event(f"l/{update.version}/{update.seq}", "drift", at, update))


def add_levels(path: Path) -> None:
    """Add what was learnt of the market to a model's file."""
    model = CatBoostRegressor().load_model(str(path))
    LEARNT.save(model.get_metadata())
    model.save_model(str(path))
