"""NativeBooster: the predictions of CatBoost, without repeated parsing of the training parameters."""

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


def test_it_predicts_what_catboost_predicts(model: Path) -> None:
    """Exactly, for one row and for many."""
    expected = list(CatBoostRegressor().load_model(str(model)).predict(Pool(ROWS, cat_features=categorical(DATASET))))
    booster = NativeBooster(model)
    assert list(booster.predict(ROWS)) == expected
    assert [logarithm for row in ROWS for logarithm in booster.predict([row])] == expected
    assert len(set(expected)) > 1


def test_the_training_parameters_do_not_stay_in_memory(model: Path) -> None:
    """CatBoost parses them in each call. The other metadata and the file stay as they are."""
    of_file, of_booster = CatBoostRegressor().load_model(str(model)).get_metadata(), NativeBooster(model).get_metadata()
    assert len(of_booster["params"]) < len(of_file["params"]) / 10
    assert {**of_booster, "params": ""} == {**dict(of_file), "params": ""}
    Predictor(DATASET, NativeBooster(model))


def test_a_model_without_training_parameters_predicts_too(model: Path, tmp_path: Path) -> None:
    """They are not needed."""
    stripped = CatBoostRegressor().load_model(str(model))
    del stripped.get_metadata()["params"]
    stripped.save_model(str(tmp_path / "stripped.cbm"))
    booster = NativeBooster(tmp_path / "stripped.cbm")
    assert not booster.get_metadata()["params"]
    assert list(booster.predict(ROWS)) == list(NativeBooster(model).predict(ROWS))


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    """With CatBoost's own error."""
    (tmp_path / "garbage.cbm").write_bytes(b"garbage")
    with pytest.raises(CatBoostError):
        NativeBooster(tmp_path / "garbage.cbm")
