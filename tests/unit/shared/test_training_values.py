"""What a model has learnt is part of its file."""

from pathlib import Path

import pytest
from catboost import CatBoostRegressor

from support.models import train
from veleta.dataset import load_dataset
from veleta.training_values import TrainingValues

VALUES = TrainingValues(ranges={"bed": (1.0, 12.0)}, texts={"city": ["Añasco", "Zion"]})


def test_the_model_file_contains_the_values(tmp_path: Path) -> None:
    """CatBoost saves and loads its metadata with the model. Texts may have any character."""
    train(load_dataset("real_estate"), tmp_path / "first.cbm")
    model = CatBoostRegressor().load_model(str(tmp_path / "first.cbm"))
    VALUES.save(model.get_metadata())
    model.save_model(str(tmp_path / "second.cbm"))
    loaded = CatBoostRegressor().load_model(str(tmp_path / "second.cbm"))
    assert TrainingValues.of_model(loaded.get_metadata()) == VALUES


def test_a_model_of_an_earlier_version_has_none() -> None:
    """It is served nevertheless."""
    assert TrainingValues.of_model({"feature_version": "1"}) is None


def test_damaged_values_are_an_error() -> None:
    """They are not taken for missing ones."""
    with pytest.raises(ValueError, match="ranges"):
        TrainingValues.of_model({"training_values": "{}"})
