"""Which versions keep their artifacts."""

import pytest

from veleta_retention.domain.kept_versions import Decisions

HISTORY = [(1, 1, "promoted"), (2, 2, "rejected"), (3, 3, "rejected"), (4, 4, "promoted"), (5, 5, "rejected")]


@pytest.fixture
def decisions() -> Decisions:
    made = Decisions()
    made.add(HISTORY)
    return made


@pytest.mark.parametrize(("keep", "beyond"), [(0, []), (1, [3, 2]), (2, [2]), (3, []), (9, [])])
def test_only_rejected_versions_beyond_the_newest_are_deleted(
    decisions: Decisions, keep: int, beyond: list[int]
) -> None:
    """The newest first. Versions that were promoted do not count, and 0 is no limit."""
    assert decisions.beyond(keep) == beyond


@pytest.mark.parametrize("again", ["promoted", "outside"])
def test_a_version_that_was_promoted_later_is_kept(decisions: Decisions, again: str) -> None:
    """A person may set the alias champion to a rejected version, and remove it again."""
    decisions.add([(6, 2, again), (7, 2, "rejected")])
    assert decisions.beyond(1) == [3]


def test_later_decisions_are_added(decisions: Decisions) -> None:
    """From the last sequence number on."""
    assert decisions.last == 5
    decisions.add([(6, 6, "rejected")])
    assert (decisions.last, decisions.beyond(2)) == (6, [3, 2])


def test_deleted_versions_are_forgotten(decisions: Decisions) -> None:
    """One, or all up to one."""
    decisions.forget(3)
    assert decisions.beyond(1) == [2]
    decisions.forget_until(2)
    assert decisions.beyond(1) == []
