"""The linear baseline."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from support.listings import api_rows
from support.trainer import DATASET
from veleta.features import Features
from veleta_trainer.domain import linear_baseline
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.linear_baseline import fit_linear_baseline
from veleta_trainer.domain.training_data import TrainingData


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Features of rows. Places without a census have gaps."""
    data = TrainingData(DATASET)
    data.append(CleanBatch.of_rows(DATASET, [api_rows(0, 500, 3)]), 0, holdout_only=False)
    frame = data.train.frame()
    assert frame.isna().to_numpy().any()
    return frame


def test_it_learns_a_trend_of_a_number(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """From few of many rows, and although there are gaps."""
    monkeypatch.setattr(linear_baseline, "MAX_ROWS", 100)
    prices = 100_000 * np.exp(frame["bed"].to_numpy() / 10)
    predicted = np.exp(fit_linear_baseline(DATASET, frame, prices).predict(frame))
    assert predicted == pytest.approx(prices, rel=0.05)


def test_it_is_the_ridge_regression_of_scikit_learn(frame: pd.DataFrame) -> None:
    """Also with a column that is constant, and one that is empty."""
    numbers = [info.name for info in Features(DATASET).infos if not info.categorical]
    frame = frame.assign(**{numbers[0]: np.float32(7), numbers[1]: np.float32("nan")})
    prices = np.random.default_rng(0).lognormal(12, 1, len(frame))
    ours = fit_linear_baseline(DATASET, frame, prices).predict(frame)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    theirs = make_pipeline(imputer, StandardScaler(), Ridge())
    values = frame[numbers].to_numpy(dtype=np.float64)
    assert ours == pytest.approx(theirs.fit(values, np.log(prices)).predict(values))
