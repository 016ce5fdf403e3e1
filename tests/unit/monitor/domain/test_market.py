"""The level of the market: what the page shows of it, and of its updates."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from support.monitor_states import LEVELS, MARKET_BODY
from veleta_monitor.domain.market import LevelPoint, market_sentences, parse_market, updates_table

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
POSITION = "The level follows sales up to 2015-05-27. Its period is a month, and"


def sentences(**changes: Any) -> list[str]:
    """Those of an answer of inference with changes."""
    market = parse_market({**MARKET_BODY, **changes})
    assert market
    return market_sentences(market)


def test_a_version_without_a_market_has_none() -> None:
    """Inference answers null, and one of an earlier release has no such part."""
    assert parse_market(None) is None


def test_the_points_have_the_names_of_their_periods() -> None:
    """In the order of the answer."""
    market = parse_market(MARKET_BODY)
    assert market
    assert market.points[0] == LevelPoint("2014-05", date(2014, 5, 1), 1.0, 0.006 + 0.0004 * 4)
    assert [market.points[-1].name, market.as_of, len(market.points)] == ["2015-05", date(2015, 5, 27), 13]
    quarter = {"period": "2014-04-01", "factor": 1.0, "error": 0.01}
    market = parse_market({**MARKET_BODY, "every": "quarter", "periods": [quarter]})
    assert market
    assert market.points[0].name == "2014-Q2"


def test_the_level_has_its_band_and_what_it_follows() -> None:
    """The band is 1.28 standard errors of the logarithm on both sides."""
    assert sentences() == [
        "Prices have changed by +7.4 % since 2014-05: +5.9 % to +8.9 % with a probability of 80 %.",
        f"{POSITION} a part of its last changes is expected to go on.",
    ]
    assert sentences(method="last")[1] == f"{POSITION} it is expected to stay."
    assert sentences(method="none")[1] == f"{POSITION} no change is expected after it."


def test_what_holds_the_level_has_a_sentence() -> None:
    """A person, or a batch that shows too large a change."""
    assert sentences(pinned=True)[2:] == ["A person pinned the level: batches do not move it."]
    (waits,) = sentences(waiting=1.56)[2:]
    assert waits.startswith("The level waits: a batch shows +56.0 %")


@pytest.mark.parametrize("key", ["every", "since", "as_of", "factor", "error", "pinned", "waiting", "periods"])
def test_a_malformed_level_is_an_error(key: str) -> None:
    """The page then shows that the answer of inference is not valid."""
    with pytest.raises(KeyError):
        parse_market({name: value for name, value in MARKET_BODY.items() if name != key})


def test_an_update_has_its_index_its_outcome_and_who_decided() -> None:
    """An update of a batch names nobody."""
    table = updates_table(LEVELS, NOW)
    waiting, accepted, moved, held = (dict(zip([c.title for c in table.columns], r, strict=True)) for r in table.rows)
    assert (waiting["Outcome"].text, waiting["Outcome"].tone, waiting["Outcome"].note) == ("waiting", "warn", "")
    assert (accepted["Outcome"].note, accepted["Rows"].text) == ("by ada", "0")
    assert (moved["Index"].text, moved["Index"].note) == ("107.0", "105.9 to 108.1")
    assert (moved["Update"].note, moved["Period from"].text) == ("version 3", "2015-04-01")
    assert held["Outcome"].tone == "neutral"
