"""Training rows and holdout rows."""

from collections.abc import Sequence
from typing import Any

import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Row
from veleta.features import HOLDOUT_PERCENT, MIN_TRAINING_ROWS, in_holdout
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.training_data import TrainingData


def test_the_holdout_is_never_trained_on() -> None:
    """A house is always on the same side. Unclean rows, and rows for the holdout only, add no training rows."""
    rows = api_rows(0, 500, 3)
    both, holdout = TrainingData(DATASET), TrainingData(DATASET)
    both.append(batch([*rows, {**rows[0], "price": None}]), 0, holdout_only=False)
    holdout.append(batch(rows), 0, holdout_only=True)
    assert len(holdout.train) == 0
    assert len(holdout.holdout) == len(both.holdout)
    assert len(both.train) + len(both.holdout) == 500
    assert len(both.holdout) == pytest.approx(500 * HOLDOUT_PERCENT / 100, rel=0.3)
    assert list(both.holdout.frame().columns) == list(both.train.frame().columns)
    assert "price" not in both.train.frame().columns


def batch(rows: Sequence[Row]) -> CleanBatch:
    """A batch of these rows."""
    return CleanBatch.of_rows(DATASET, [rows])


def split(number: int) -> tuple[list[Row], list[Row]]:
    """Clean rows that are trained on, and clean rows of the holdout."""
    rows = api_rows(0, number, 3)
    held = [in_holdout(DATASET, DATASET.convert(row)[0]) for row in rows]
    return (
        [row for row, holdout in zip(rows, held, strict=True) if not holdout],
        [row for row, holdout in zip(rows, held, strict=True) if holdout],
    )


def test_rows_are_counted_once_and_by_reason() -> None:
    """Whether they are clean or not. Rows that are read for the holdout only are counted by nobody."""
    data = TrainingData(DATASET)
    rows: list[dict[str, Any]] = api_rows(0, 10, 3)
    data.append(batch([*rows, {**rows[0], "price": None}, {**rows[1], "price": None}]), 0, holdout_only=False)
    data.append(batch([*rows, {**rows[0], "price": None}]), 0, holdout_only=True)
    assert (data.received, dict(data.rejected)) == (12, {"price: no value": 2})


def test_the_fewest_rows_are_enough() -> None:
    """One row less, or no row to compare on, is too few."""
    train, holdout = split(200)
    for rows, enough in (
        ([*train[:MIN_TRAINING_ROWS], holdout[0]], True),
        ([*train[: MIN_TRAINING_ROWS - 1], *holdout], False),
        (train, False),
    ):
        data = TrainingData(DATASET)
        data.append(batch(rows), 0, holdout_only=False)
        assert (data.shortage() == "") == enough


@pytest.mark.failure("F45")
def test_the_reason_of_a_training_without_clean_rows_counts_them() -> None:
    """Rows for the holdout only do not count."""
    data = TrainingData(DATASET)
    rows = api_rows(0, 400, 3)
    data.append(batch([{**row, "price": "POA"} for row in rows]), 0, holdout_only=False)
    data.append(batch(rows[:50]), 0, holdout_only=True)
    assert data.shortage() == ("there is no clean row: 400 of 400 rows are left out (100 %): price: no value 400")


@pytest.mark.failure("F45")
def test_the_reason_of_too_few_rows_names_what_is_needed() -> None:
    """And why the others are left out, if any are."""
    rows = api_rows(0, 400, 3)
    data, few, unclean = (TrainingData(DATASET) for _ in range(3))
    few.append(batch(rows[:5]), 0, holdout_only=False)
    counts = f"{len(few.train)} clean training rows and {len(few.holdout)} holdout rows"
    assert few.shortage() == f"{counts} are too few, 20 and 1 are needed"
    unclean.append(batch([*rows[:5], {**rows[5], "bed": None}]), 0, holdout_only=False)
    assert unclean.shortage().endswith("are needed: 1 of 6 rows are left out (16.7 %): bed: no value 1")
    data.append(batch(rows), 0, holdout_only=False)
    assert data.shortage() == ""
