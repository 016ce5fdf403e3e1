"""The verdicts of another policy beside the live ones."""

from veleta_drift.domain.verdict_change import BatchVerdict, verdict_lines


def test_each_batch_has_a_line_and_the_last_one_counts() -> None:
    """In columns, with the reason of the replay."""
    verdicts = [
        BatchVerdict((1, 0), "not enough data", "not enough data", "first"),
        BatchVerdict((1, 10), "drift", "no drift", "other rows"),
        BatchVerdict((1, 11), "drift", "drift", "wrong"),
    ]
    assert [*verdict_lines("seed", "evidence", verdicts)] == [
        "batch  live: seed       evidence         reason",
        "1/0    not enough data  not enough data  first",
        "1/10   drift            no drift         other rows",
        "1/11   drift            drift            wrong",
        "3 batches: 2 are drift by seed, 1 by evidence; 1 differ",
    ]
