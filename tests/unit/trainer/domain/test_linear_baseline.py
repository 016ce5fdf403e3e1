"""The linear baseline."""

import numpy as np
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta_trainer.domain import linear_baseline
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.linear_baseline import fit_linear_baseline, numbers
from veleta_trainer.domain.training_data import TrainingData


def test_it_learns_a_trend_of_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """From few of many rows, and although places without a census have gaps."""
    monkeypatch.setattr(linear_baseline, "MAX_ROWS", 100)
    data = TrainingData(DATASET)
    data.append(CleanBatch.of_rows(DATASET, [api_rows(0, 500, 3)]), holdout_only=False)
    frame = data.train.frame()
    assert frame.isna().to_numpy().any()
    prices = 100_000 * np.exp(frame["bed"].to_numpy() / 10)
    predicted = np.exp(fit_linear_baseline(DATASET, frame, prices).predict(numbers(DATASET, frame)))
    assert predicted == pytest.approx(prices, rel=0.05)
