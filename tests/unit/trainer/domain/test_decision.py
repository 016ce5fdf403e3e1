"""The decision between champion and challenger."""

import pytest

from veleta_trainer.domain.decision import champion_changed, decide


def test_without_a_champion_the_version_is_promoted() -> None:
    """There is nothing to compare it with."""
    decision = decide(10.0, None, None, 5)
    assert (decision.outcome, decision.reason) == ("promoted", "there is no champion")


@pytest.mark.parametrize(("mae", "outcome"), [(9.99, "promoted"), (10.0, "rejected"), (10.01, "rejected")])
def test_only_a_lower_mae_wins(mae: float, outcome: str) -> None:
    """An equal MAE loses."""
    decision = decide(mae, 3, 10.0, 1234)
    assert decision.outcome == outcome
    assert "version 3 on the same 1,234 rows" in decision.reason


@pytest.mark.failure("F44")
def test_a_champion_without_a_score_is_replaced() -> None:
    """The reason names it."""
    decision = decide(10.0, 3, None, 5)
    assert decision.outcome == "promoted"
    assert decision.reason == "version 3 cannot be evaluated: its model was deleted"
    assert decide(10.0, 3, None, 5, "no file").reason == "version 3 cannot be evaluated: no file"


@pytest.mark.parametrize(("champion", "text"), [(1, "compared with version 1,"), (None, "compared with no champion,")])
def test_a_comparison_with_a_former_champion_does_not_count(champion: int | None, text: str) -> None:
    """The reason names both champions."""
    decision = champion_changed(champion, 2)
    assert decision.outcome == "rejected"
    assert text in decision.reason
    assert "version 2 is the champion now" in decision.reason
