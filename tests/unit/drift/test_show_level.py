"""What `make level` prints."""

import math
from dataclasses import replace

from support.drift_models import FakeModel
from support.markets import LEARNT, market_levels, month
from veleta.events.catalogue import LevelUpdated
from veleta_drift.show_level import lines

MODEL = FakeModel(3, None, market=market_levels())
MOVED = LevelUpdated(
    model="homes", version=3, run_id="run", seq=8, period=month(LEARNT), as_of=month(LEARNT).replace(day=15),
    value=math.log(1.018), error=0.004, rows=480, outcome="moved", reason="level +1.8 %", cause="c",
)  # fmt: skip


def test_the_table_has_the_training_and_each_update_of_the_champion() -> None:
    """Those of other versions are left out, and one that was published twice is there once."""
    other = MOVED.model_copy(update={"version": 2, "seq": 7})
    assert [*lines(MODEL, [other, MOVED, MOVED])] == [
        "version 3: prices relative to 2020-01, method last",
        "update  period   as of       factor         rows  outcome   reason",
        "0       2020-06  2020-06-01  1.000 ± 0.003        training",
        "8       2020-07  2020-07-15  1.018 ± 0.004  480   moved     level +1.8 %",
    ]


def test_a_level_that_waits_or_is_pinned_says_what_a_person_can_do() -> None:
    """With the command."""
    pinned = MOVED.model_copy(update={"pinned": True, "actor": "ada", "outcome": "pinned", "reason": "an appraisal"})
    found = [*lines(MODEL, [pinned])]
    assert found[1] == "it is pinned: batches do not move it until make level RESET=1"
    assert found[-1].endswith("pinned    an appraisal (ada)")
    waiting = MOVED.model_copy(update={"waiting": math.log(0.8), "waiting_error": 0.01, "outcome": "waiting"})
    assert [*lines(MODEL, [waiting])][1] == "it waits: the last batch shows 0.800 ± 0.008; make level ACCEPT=1"


def test_a_version_without_a_market_has_no_table() -> None:
    """It was trained before the dataset file declared one."""
    assert [*lines(replace(MODEL, market=None), [MOVED])] == ["version 3 has no market: it was trained without one"]
