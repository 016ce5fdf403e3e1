"""The rows since a training."""

from veleta.events.catalogue import BatchClosed, Growth, OffsetRange
from veleta_drift.domain.growth import growth_of, is_due, reason


def batch(epoch: int, number: int, rows: int, digest: int) -> BatchClosed:
    return BatchClosed(
        dataset="homes", epoch=epoch, number=number, rows=rows, chunks=1, digest=f"{digest:064x}",
        dataset_digest="0" * 64, ranges=[OffsetRange(partition=0, first=0, last=0)],
    )  # fmt: skip


def test_rows_of_later_batches_count_but_copies_do_not() -> None:
    """Neither one of a batch that was learnt, nor one of a batch that was counted."""
    batches = [
        batch(1, 0, 100, 1), batch(1, 1, 100, 2), batch(1, 2, 60, 3), batch(2, 0, 100, 1), batch(2, 2, 60, 3),
        batch(2, 3, 50, 4),
    ]  # fmt: skip
    assert growth_of(4, 200, (1, 1), batches) == Growth(version=4, learnt=200, rows=110)


def test_a_training_is_due_once_for_each_half_of_what_was_learnt() -> None:
    """So a challenger that was rejected causes no request for each batch."""
    growth = Growth(version=1, learnt=6_157, rows=3_714)
    assert is_due(growth, 0.5)
    assert not is_due(growth, 0.61)
    assert reason(growth) == "more data: 3,714 rows since the training of version 1, which learnt 6,157 (+60 %)"
    requested = growth.model_copy(update={"requested": 3_714})
    assert not is_due(requested.model_copy(update={"rows": 6_000}), 0.5)
    assert is_due(requested.model_copy(update={"rows": 6_793}), 0.5)
