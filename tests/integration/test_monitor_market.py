"""The monitor reads the updates of a market's level from a real database."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from support.testbed import Testbed
from veleta.adapters.mysql import mysql_engine
from veleta.dataset import load_dataset
from veleta.tables import market_levels
from veleta_monitor.adapters.database import MAX_ROWS, MysqlReader
from veleta_monitor.domain.market import LevelUpdate

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
LEVEL = 0.07


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """One with a market."""
    return load_dataset("sales").text


def test_the_newest_updates_of_a_level_are_read(testbed: Testbed) -> None:
    """As the monitor's own user. The factor is relative to the first period of the version."""
    common = {
        "version": 3, "run_id": "r", "period": date(2024, 5, 1), "as_of": date(2024, 5, 31), "value": LEVEL,
        "error": 0.01, "slope": 0.0, "measured_rows": 1200, "outcome": "moved", "reason": "level +1.0 %", "cause": "c",
        "digest": "", "pinned": 0, "updated_at": NOW.replace(tzinfo=None),
    }  # fmt: skip
    updates = [{**common, "seq": seq} for seq in range(1, MAX_ROWS + 2)]
    updates[-1] |= {"outcome": "pinned", "actor": "ada", "updated_at": (NOW + timedelta(hours=1)).replace(tzinfo=None)}
    with testbed.admin.begin() as sql:
        sql.execute(sa.insert(market_levels), [{"actor": None, **update} for update in updates])
    engine = mysql_engine(testbed.mysql("reader"))
    levels = MysqlReader(engine, testbed.dataset).read_history().levels
    assert len(levels) == MAX_ROWS
    at, factor = NOW + timedelta(hours=1), math.exp(LEVEL)
    assert levels[0] == LevelUpdate(
        101, 3, date(2024, 5, 1), factor, 0.01, 1200, "pinned", "level +1.0 %", "ada", at
    )  # fmt: skip
    assert (levels[1].seq, levels[1].actor, levels[1].outcome) == (100, "", "moved")
    assert MysqlReader(engine, load_dataset("real_estate")).read_history().levels == []
