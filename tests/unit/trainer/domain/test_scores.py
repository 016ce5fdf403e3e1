"""The scores of a model."""

import numpy as np
import pytest

from veleta_trainer.domain.scores import scores


def test_scores_of_three_prices() -> None:
    """RMSE, MAE, median APE and R2, computed by hand."""
    result = scores(np.array([100.0, 200.0, 400.0]), np.array([110.0, 180.0, 400.0]))
    assert result["mae"] == pytest.approx(10.0)
    assert result["rmse"] == pytest.approx((500 / 3) ** 0.5)
    assert result["median_ape"] == pytest.approx(0.10)
    assert result["r2"] == result["accuracy"] == pytest.approx(1 - 500 / (140000 / 3))
