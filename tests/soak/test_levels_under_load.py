"""Updates of the market's level in a row under full load: LEVELS (100)."""

import math
import os
import statistics
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.http import JOURNAL, metric
from support.load import OK, load
from support.market_levels import LEARNT, MARKET_TEXT, add_levels, level_message, level_updated
from support.models import Models, synthetic
from support.testbed import Testbed, wait_until
from veleta.clock import utc_now
from veleta.tables import dataset_tables

LEVELS = int(os.environ.get("LEVELS") or 100)
CONNECTIONS = 16
ROWS = 200
PAUSE_SECONDS = 0.5
AS_OF = date(2014, 10, 3)
MOST_SECONDS = 1.0


@pytest.fixture
def dataset_text() -> str:
    """real_estate with a market."""
    return MARKET_TEXT


def test_updates_in_a_row_are_not_noticed(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """No request fails, and each update is served within a second.

    MySQL has each answer, and its price is that of the house times the level of the update that it names.
    """
    testbed = fresh_testbed
    models, rows = Models(testbed), synthetic(testbed.dataset, ROWS)
    version = models.promote(damage=add_levels)
    houses = models.prices(version.number, rows, level=0.0)
    levels = {0: LEARNT.now.value, **{seq: 0.03 + seq / 10_000 for seq in range(1, LEVELS + 1)}}
    published = {}
    with testbed.service("inference", "inference") as inference:
        inference.wait_until_ready()
        with load(inference.url, rows, CONNECTIONS, tmp_path / "load") as coming:
            for seq in range(1, LEVELS + 1):
                time.sleep(PAUSE_SECONDS)
                update = level_updated(version, seq, AS_OF, levels[seq], model=testbed.dataset.name)
                published[seq] = time.time()
                testbed.log.publish([level_message(update, utc_now())])
            time.sleep(2 * PAUSE_SECONDS)
        wait_until(lambda: metric(inference.url, JOURNAL) == 0, 120, "the journal is empty")
    answers = list(coming)
    assert Counter(answer.status for answer in answers) == {OK: len(answers)}
    by_factor = {math.exp(level): seq for seq, level in levels.items()}
    first: dict[int, float] = {}
    for answer in answers:
        first.setdefault(by_factor[answer.factor], answer.ended)
    seconds = [first[seq] - at for seq, at in published.items()]
    stored = dataset_tables(testbed.dataset).requests.c
    columns = (stored.request_id, stored.model_version, stored.level_seq, stored.market_level, stored.prediction)
    in_mysql = {row.request_id: tuple(row)[1:] for row in testbed.sql(sa.select(*columns))}
    sys.stdout.write(
        f"\n{LEVELS} updates, {len(answers):,} requests in {answers[-1].ended - answers[0].sent:.0f} s, none failed\n"
        f"from event to first answer: median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s\n"
    )
    assert in_mysql.keys() == {answer.request_id for answer in answers}
    for answer in answers:
        seq = by_factor[answer.factor]
        price = houses[answer.row] * math.exp(levels[seq])
        assert answer.price == pytest.approx(price, rel=1e-12)
        assert in_mysql[answer.request_id] == (version.number, seq, levels[seq], answer.price)
    assert max(seconds) <= MOST_SECONDS
