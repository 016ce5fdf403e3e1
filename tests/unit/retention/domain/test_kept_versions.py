"""Which versions keep their artifacts."""

import pytest

from veleta_retention.domain.kept_versions import Decisions

HISTORY = [(1, 1, "promoted"), (2, 2, "rejected"), (3, 3, "promoted"), (4, 4, "rejected"), (5, 5, "promoted")]


@pytest.fixture
def decisions() -> Decisions:
    made = Decisions()
    made.add(HISTORY)
    return made


@pytest.mark.parametrize(("keep", "beyond"), [(0, []), (1, [2, 1]), (2, [1]), (3, []), (9, [])])
def test_the_newest_versions_are_kept_beside_the_two_champions(
    decisions: Decisions, keep: int, beyond: list[int]
) -> None:
    """Rejected ones and those that were replaced. The champion and the one before do not count; 0 is no limit."""
    assert decisions.beyond(keep) == beyond


@pytest.mark.parametrize("again", ["promoted", "outside", "rolled back"])
def test_an_old_version_that_is_the_champion_again_is_kept(decisions: Decisions, again: str) -> None:
    """Also if the registry has lost its alias. The champion of before the last one counts as replaced."""
    decisions.add([(6, 1, again)])
    assert decisions.beyond(1) == [3, 2]
    decisions.add([(7, 6, "promoted"), (8, 7, "promoted")])
    assert decisions.beyond(1) == [4, 3, 2, 1]


def test_later_decisions_are_added(decisions: Decisions) -> None:
    """From the last sequence number on."""
    assert decisions.last == 5
    decisions.add([(6, 6, "rejected")])
    assert (decisions.last, decisions.beyond(2)) == (6, [2, 1])


def test_deleted_versions_are_forgotten(decisions: Decisions) -> None:
    """One, or all up to one."""
    decisions.forget(2)
    assert decisions.beyond(1) == [1]
    decisions.forget_until(1)
    assert decisions.beyond(1) == []
    decisions.forget_until(4)
    decisions.add([(6, 6, "promoted"), (7, 7, "promoted")])
    assert decisions.beyond(1) == [3]
