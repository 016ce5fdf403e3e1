"""What `promote` and `rollback` decide."""

import pytest

from support.batches import TIME
from veleta.events.catalogue import Promote, Rollback
from veleta_trainer.domain.commanded_promotion import champions, promotion


@pytest.mark.parametrize(
    ("decisions", "line"),
    [
        ([], []),
        (["1 promoted", "2 outside", "3 promoted"], [1, 2, 3]),
        (["1 promoted", "2 promoted", "3 promoted", "2 rolled back"], [1, 2]),
        (["1 promoted", "2 promoted", "3 promoted", "2 rolled back", "1 rolled back"], [1]),
        (["1 promoted", "2 promoted", "1 rolled back", "3 promoted"], [1, 3]),
        (["1 promoted", "2 promoted", "1 promoted", "2 rolled back"], [1, 2]),
        (["1 promoted", "1 outside"], [1]),
        (["2 rolled back"], [2]),
    ],
)
@pytest.mark.failure("F364")
def test_a_rollback_returns_to_the_champion_before(decisions: list[str], line: list[int]) -> None:
    """A rollback takes back a promotion of an older version too. Rows that are lost do not matter."""
    made = [(int(version), outcome) for version, _, outcome in (decision.partition(" ") for decision in decisions)]
    assert champions(made) == line


def test_a_decision_names_both_versions_and_the_person() -> None:
    """In one line, as MLflow shows it."""
    promoted = promotion(Promote(dataset="d", actor="ana", version=2, reason="better"), "c", 2, 1, TIME)
    assert promoted.description == "promoted by ana: instead of version 1: better"
    first = promotion(Promote(dataset="d", actor="ana", version=2), "c", 2, None, TIME)
    assert (first.description, first.previous) == ("promoted by ana: there was no champion", None)
    rolled_back = promotion(Rollback(dataset="d", actor="ana"), "c", 1, 2, TIME)
    assert rolled_back.description == "rolled back by ana: instead of version 2"
