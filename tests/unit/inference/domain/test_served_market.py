"""The levels of a market that a version is served at: the present one, and those of earlier days."""

import math
from datetime import date, datetime, timedelta

import pytest

from support.market_levels import FIRST, LAST, LEARNT, UPDATED_AT, level_updated
from veleta.events.catalogue import LevelUpdated
from veleta.market import Level
from veleta.ports import Version
from veleta_inference.domain.errors import InvalidRequest
from veleta_inference.domain.served_market import LevelUpdates, PriceLevel, ServedMarket

VERSION = Version(1, "run")
AUGUST, OCTOBER = date(2014, 8, 30), date(2014, 10, 3)


def after(*updates: LevelUpdated, at: datetime = UPDATED_AT) -> ServedMarket:
    """The market of a version after updates."""
    found: LevelUpdates | None = None
    for update in updates:
        found = LevelUpdates.after(found, update, at)
    return ServedMarket(LEARNT).updated(found)


def asked(market: ServedMarket, as_of: object = None, now: datetime = UPDATED_AT) -> PriceLevel:
    """The level of a request's prices."""
    return market.level(as_of, now, None)


def test_without_an_update_the_level_is_that_of_the_training() -> None:
    """An earlier day has the level of its period, with its own error."""
    market = after()
    assert asked(market) == PriceLevel(LAST, 0.025, LEARNT.variance(LEARNT.state), 0, "2014-05")
    assert asked(market, "2014-06-30") == PriceLevel(date(2014, 6, 30), 0.01, 0.004**2, 0, "2014-05")
    assert asked(market, FIRST) == PriceLevel(FIRST, 0.0, 0.004**2, 0, "2014-05")


def test_the_last_update_is_served() -> None:
    """The day of its newest row asks for the same. Days of its period have its level without the expected change."""
    market = after(level_updated(VERSION, 1, AUGUST, 0.03), level_updated(VERSION, 4, OCTOBER, 0.07, slope=0.01))
    present = PriceLevel(OCTOBER, 0.07, LEARNT.variance(market.state), 4, "2014-05")
    assert asked(market) == asked(market, OCTOBER) == asked(market, "2014-10-03") == present
    assert present.factor == pytest.approx(1.0725, rel=1e-4)
    earlier = asked(market, date(2014, 10, 1))
    assert earlier == pytest.approx(PriceLevel(date(2014, 10, 1), 0.06, 0.006**2, 4, "2014-05"))


def test_a_day_after_the_training_has_the_last_update_of_its_period() -> None:
    """Or of the last period before it that has one."""
    moves = [(1, AUGUST, 0.02), (2, AUGUST, 0.03), (3, OCTOBER, 0.05)]
    market = after(*(level_updated(VERSION, *move) for move in moves))
    for day in (date(2014, 8, 1), date(2014, 9, 15)):
        assert asked(market, day) == pytest.approx(PriceLevel(day, 0.03, 0.006**2, 2, "2014-05"))
    assert asked(market, date(2014, 7, 1)).seq == 0


def test_an_earlier_update_changes_nothing() -> None:
    """Drift may publish an event twice."""
    updates = [level_updated(VERSION, seq, AUGUST, seq / 100) for seq in (2, 3, 2, 3, 1)]
    assert after(*updates) == after(*updates[:2])


def test_a_reset_takes_back_what_the_updates_before_it_showed() -> None:
    """The history ends with the training until the next update."""
    reset = level_updated(VERSION, 2, LAST, 0.025, outcome="reset")
    market = after(level_updated(VERSION, 1, OCTOBER, 0.05), reset)
    assert asked(market)[:2] == (LAST, 0.025)
    assert [each.seq for each in market.periods.values()] == [0, 0, 0]
    with pytest.raises(InvalidRequest, match="to 2014-07-20"):
        asked(market, OCTOBER)
    market = after(level_updated(VERSION, 1, AUGUST, 0.9), reset, level_updated(VERSION, 3, OCTOBER, 0.05))
    assert asked(market, AUGUST) == pytest.approx(PriceLevel(AUGUST, 0.02, 0.004**2, 0, "2014-05"))


@pytest.mark.parametrize("as_of", ["2014-05-01", "2014-07-21", "July", "2014-06-31", "", 20140601.0, True, [], {}])
def test_a_day_outside_the_history_is_refused(as_of: object) -> None:
    """The message says which days are possible."""
    with pytest.raises(InvalidRequest, match=r"as_of must be a day from 2014-05-02 to 2014-07-20, not "):
        asked(after(), as_of)


def test_the_present_level_is_less_certain_with_each_day() -> None:
    """Since the update, or since the promotion. A clock that went back makes it no more certain."""
    market, later = after(level_updated(VERSION, 1, AUGUST, 0.03)), UPDATED_AT + timedelta(days=30.4)
    assert asked(market).variance == pytest.approx(0.006**2 + 0.01**2)
    assert asked(market, now=later).variance == pytest.approx(0.006**2 + 2 * 0.01**2)
    assert asked(market, now=UPDATED_AT - timedelta(days=9)).variance == asked(market).variance
    assert after().level(None, later, UPDATED_AT).variance == pytest.approx(0.005**2 + 2 * 0.01**2)
    assert asked(market, "2014-06-01", later).variance == 0.004**2


def test_the_details_have_the_periods_of_the_training_and_of_the_updates() -> None:
    """Levels are factors of the first period's prices."""
    waiting = after(level_updated(VERSION, 1, AUGUST, 0.03), level_updated(VERSION, 2, AUGUST, 0.03, outcome="waiting"))
    details = waiting.details()
    assert details["waiting"] == pytest.approx(2)
    assert (details["pinned"], details["level_seq"], details["as_of"]) == (False, 2, AUGUST)
    assert (details["factor"], details["error"]) == (math.exp(0.03), 0.006)
    assert (details["time"], details["every"], details["method"]) == ("prev_sold_date", "month", "trend")
    assert details["since"] == "2014-05"
    assert details["periods"] == [
        {"period": date(2014, 5 + number, 1), "factor": math.exp(level.value), "error": level.error}
        for number, level in enumerate([*LEARNT.levels.values(), Level(0.03, 0.006)])
    ]
    assert after(level_updated(VERSION, 1, AUGUST, 0.5, outcome="pinned")).details()["pinned"]
    assert after().details()["waiting"] is None
