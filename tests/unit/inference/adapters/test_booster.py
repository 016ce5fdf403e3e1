"""NativeBooster: the predictions and the metadata of CatBoost."""

from pathlib import Path

import pytest
from catboost import CatBoostError, CatBoostRegressor, Pool

from support.models import synthetic, train
from veleta.adapters.booster import NativeBooster
from veleta.dataset import load_dataset
from veleta.features import Features
from veleta.predictor import FEATURES, Predictor

DATASET = load_dataset("real_estate")
CATEGORICAL = Features(DATASET).categorical
ROWS = [Features(DATASET).of(row) for row in synthetic(DATASET, 20)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model's file."""
    path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path)
    return path


def test_it_predicts_what_catboost_predicts(model: Path) -> None:
    """Exactly, for one row and for many."""
    expected = list(CatBoostRegressor().load_model(str(model)).predict(Pool(ROWS, cat_features=CATEGORICAL)))
    booster = NativeBooster(model)
    assert list(booster.predict(ROWS)) == expected
    assert [logarithm for row in ROWS for logarithm in booster.predict([row])] == expected
    assert len(set(expected)) > 1


def test_what_inference_reads_of_a_model_stays(model: Path) -> None:
    """The version of the features and their names, also after predictions. The file stays as it is."""
    content, of_file = model.read_bytes(), CatBoostRegressor().load_model(str(model))
    booster = NativeBooster(model)
    Predictor(DATASET, booster).prices(synthetic(DATASET, 3))
    assert booster.get_metadata()[FEATURES] == of_file.get_metadata()[FEATURES]
    assert list(booster.feature_names_) == of_file.feature_names_
    assert model.read_bytes() == content


def test_a_model_without_training_parameters_predicts_too(model: Path, tmp_path: Path) -> None:
    """They are not needed."""
    stripped = CatBoostRegressor().load_model(str(model))
    del stripped.get_metadata()["params"]
    stripped.save_model(str(tmp_path / "stripped.cbm"))
    booster = NativeBooster(tmp_path / "stripped.cbm")
    assert list(booster.predict(ROWS)) == list(NativeBooster(model).predict(ROWS))


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    """With CatBoost's own error."""
    (tmp_path / "garbage.cbm").write_bytes(b"garbage")
    with pytest.raises(CatBoostError):
        NativeBooster(tmp_path / "garbage.cbm")
