"""The model as inference asks it: the same figures as CatBoost gives, without what it does besides."""

from pathlib import Path

import pytest
from catboost import CatBoostError, CatBoostRegressor, Pool

from support.models import synthetic, train
from veleta.dataset import load_dataset
from veleta.features import categorical, feature_columns, features
from veleta.predictor import Predictor
from veleta_inference.adapters.booster import NativeBooster

DATASET = load_dataset("real_estate")
ROWS = [features(feature_columns(DATASET), row) for row in synthetic(DATASET, 20)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model's file."""
    path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path)
    return path


def test_it_says_what_catboost_says(model: Path) -> None:
    """To the last bit, for one row and for many."""
    expected = list(CatBoostRegressor().load_model(str(model)).predict(Pool(ROWS, cat_features=categorical(DATASET))))
    booster = NativeBooster(model)
    assert list(booster.predict(ROWS)) == expected
    assert [price for row in ROWS for price in booster.predict([row])] == expected
    assert len(set(expected)) > 1


def test_the_parameters_of_the_training_are_forgotten_in_memory(model: Path) -> None:
    """CatBoost would parse them at each call; the loss function, which it looks for, stays, and so does our own tag."""
    metadata = NativeBooster(model).get_metadata()
    assert metadata["params"] == '{"loss_function":{"type":"RMSE","params":{}}}'
    Predictor(DATASET, NativeBooster(model))
    assert len(CatBoostRegressor().load_model(str(model)).get_metadata()["params"]) > 1000


def test_a_model_without_parameters_is_asked_all_the_same(model: Path, tmp_path: Path) -> None:
    """They are not needed."""
    stripped = CatBoostRegressor().load_model(str(model))
    del stripped.get_metadata()["params"]
    stripped.save_model(str(tmp_path / "stripped.cbm"))
    booster = NativeBooster(tmp_path / "stripped.cbm")
    assert not booster.get_metadata()["params"]
    assert list(booster.predict(ROWS)) == list(NativeBooster(model).predict(ROWS))


def test_a_file_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    """With CatBoost's own error."""
    (tmp_path / "garbage.cbm").write_bytes(b"garbage")
    with pytest.raises(CatBoostError):
        NativeBooster(tmp_path / "garbage.cbm")
