"""The fit of a model in its own process: which champion it is compared with."""

from pathlib import Path

import pytest

from support.models import train
from veleta.dataset import Dataset, load_dataset
from veleta_trainer.fit import load_champion


@pytest.fixture
def dataset() -> Dataset:
    return load_dataset("real_estate")


def test_a_champion_with_the_same_features_is_compared(dataset: Dataset, tmp_path: Path) -> None:
    """Also if the dataset has more columns since its training."""
    fewer = dataset.model_copy(update={"columns": [column for column in dataset.columns if column.name != "bath"]})
    train(fewer, tmp_path / "champion.cbm")
    assert load_champion(tmp_path / "champion.cbm", dataset) is not None


def test_a_champion_that_learnt_from_another_column_is_not_compared(dataset: Dataset, tmp_path: Path) -> None:
    """The rows of the training have no values for it."""
    train(dataset, tmp_path / "champion.cbm")
    left_out = [c.model_copy(update={"feature": "none"}) if c.name == "city" else c for c in dataset.columns]
    changed = dataset.model_copy(update={"columns": left_out})
    assert load_champion(tmp_path / "champion.cbm", changed) is None
    assert load_champion(tmp_path / "none.cbm", dataset) is None


@pytest.mark.failure("F295")
def test_a_champion_whose_file_is_damaged_is_not_compared(dataset: Dataset, tmp_path: Path) -> None:
    """It is not the training that fails."""
    path = tmp_path / "champion.cbm"
    train(dataset, path)
    path.write_bytes(path.read_bytes()[:100])
    assert load_champion(path, dataset) is None
