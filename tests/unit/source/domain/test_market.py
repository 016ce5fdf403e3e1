"""How the epochs of generated rows differ."""

from typing import Any

import pytest

from veleta_source.domain.market import Market, Scope

DECLARED = {"north": 1.0, "south": 3.0}


def market(*changes: dict[str, Any], quiet: tuple[int, ...] = ()) -> Market:
    return Market.model_validate({"quiet": list(quiet), "changes": list(changes)})


def test_a_level_begins_with_its_epoch_and_lasts() -> None:
    """Levels of the same rows add up, others are kept apart."""
    made = market(
        {"epoch": 3, "level": 0.1},
        {"epoch": 5, "level": -0.04},
        {"epoch": 5, "level": 0.2, "column": "side", "value": "north"},
    )
    assert [made.levels(epoch) for epoch in (1, 2)] == [{}, {}]
    assert [made.levels(epoch) for epoch in (3, 4)] == [{Scope(): 0.1}] * 2
    assert made.levels(6) == {Scope(): pytest.approx(0.06), Scope("side", "north"): 0.2}


def test_a_trend_moves_each_epoch_until_its_end_and_pauses_in_quiet_ones() -> None:
    """It is declared for one epoch, and what it has moved stays."""
    made = market({"epoch": 3, "until": 6, "trend": 0.02}, quiet=(4,))
    moved = [made.levels(epoch).get(Scope(), 0.0) for epoch in range(1, 9)]
    assert moved == pytest.approx([0, 0, 0.02, 0.02, 0.04, 0.06, 0.06, 0.06])
    assert made.moving_epochs == [3, 5, 6]


def test_shares_and_medians_are_those_of_the_latest_change() -> None:
    """In whatever order they are declared. A value that a change does not name keeps its share."""
    made = market(
        {"epoch": 4, "column": "side", "shares": {"north": 9.0}},
        {"epoch": 2, "column": "side", "shares": {"north": 5.0, "south": 2.0}},
        {"epoch": 4, "column": "size", "median": 80.0},
        {"epoch": 2, "column": "size", "median": 90.0},
    )
    shares = [made.shares(epoch, "side", DECLARED) for epoch in (1, 2, 4)]
    assert shares == [DECLARED, {"north": 5.0, "south": 2.0}, {"north": 9.0, "south": 2.0}]
    assert [made.median(epoch, "size", 100.0) for epoch in (1, 3, 4)] == [100.0, 90.0, 80.0]
    assert made.shares(4, "other", DECLARED) == DECLARED


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ([], "its market never changes"),
        ([{"epoch": 3, "level": 0.1}, {"epoch": 3, "level": 0.1}], "its market changes in epoch 3"),
        ([{"epoch": 3, "until": 12, "trend": 0.1}], "its market changes in epochs 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"),
    ],
)
def test_the_summary_names_the_epochs_that_change(changes: list[dict[str, Any]], summary: str) -> None:
    """The first ones of many."""
    assert market(*changes).summary() == summary
