"""The differences between the rows of a table and those of a replay."""

from veleta_drift.domain.row_differences import Key, Row, row_differences


def test_each_value_and_each_row_that_differs_has_a_line() -> None:
    """In the order of the keys. Equal rows have none."""
    live: dict[Key, Row] = {
        (1, 2): {"verdict": "drift", "reason": "a"},
        (1, 1): {"verdict": "drift"},
        (1, 3): {"verdict": "drift"},
    }
    replayed: dict[Key, Row] = {
        (1, 1): {"verdict": "drift"},
        (1, 2): {"verdict": "no drift", "reason": "b"},
        (1, 4): {},
    }
    assert [*row_differences("t", live, replayed)] == [
        "t 1/2: verdict is drift, and no drift in the replay",
        "t 1/2: reason is a, and b in the replay",
        "t 1/3: the replay has no such row",
        "t 1/4: only the replay has this row",
    ]


def test_a_long_value_is_cut() -> None:
    """A baseline has kilobytes."""
    (line,) = row_differences("t", {(1,): {"baseline": {"a": "x" * 5_000}}}, {(1,): {"baseline": None}})
    assert len(line) < 300
