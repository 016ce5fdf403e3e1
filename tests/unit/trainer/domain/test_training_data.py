"""Training rows and holdout rows."""

import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.features import HOLDOUT_PERCENT
from veleta_trainer.domain.training_data import TrainingData


def test_the_holdout_is_never_trained_on() -> None:
    """A house is always on the same side. Unclean rows, and rows for the holdout only, add no training rows."""
    rows = api_rows(0, 500, 3)
    both, holdout = TrainingData(DATASET), TrainingData(DATASET)
    both.append([*rows, {**rows[0], "price": None}], holdout_only=False)
    holdout.append(rows, holdout_only=True)
    assert len(holdout.train) == 0
    assert len(holdout.holdout) == len(both.holdout)
    assert len(both.train) + len(both.holdout) == 500
    assert len(both.holdout) == pytest.approx(500 * HOLDOUT_PERCENT / 100, rel=0.3)
    assert list(both.holdout.frame().columns) == list(both.train.frame().columns)
    assert "price" not in both.train.frame().columns
