"""The versions that drift measures batches with, from a registry."""

from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor

from support.markets import MARKET, market_levels
from support.models import synthetic, train
from support.twins.shared import MemoryRegistry
from veleta.dataset import load_dataset, parse_dataset
from veleta.errors import Reject
from veleta.market import Level
from veleta.ports import ARTIFACTS, CHAMPION, DIGEST, NATIVE, PREVIOUS
from veleta_drift.adapters.models import RegistryModels

DATASET, MARKET_DATASET = load_dataset("real_estate"), parse_dataset(MARKET)


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """A registry with two versions, of which the second one has a damaged file."""
    made = MemoryRegistry()
    for run in ("one", "two"):
        made.files[run] = tmp_path / f"{run}.cbm"
        train(DATASET, made.files[run])
        made.register(run, run, {NATIVE: run} | ({DIGEST: "0" * 64} if run == "two" else {}))
    return made


def test_a_version_is_found_by_its_number_and_by_its_alias(registry: MemoryRegistry) -> None:
    """It predicts the logarithm of the target."""
    models = RegistryModels(DATASET, registry)
    registry.set_alias(CHAMPION, 1)
    champion, rows = models.champion(), synthetic(DATASET, 5)
    assert champion is models.numbered(1), "it is loaded once"
    assert champion is not None
    logarithms, _ = champion.predict(rows)
    assert np.exp(logarithms) == pytest.approx([float(str(row[DATASET.target])) for row in rows], rel=1)
    assert models.previous() is None


def test_a_promotion_loads_only_the_new_version(registry: MemoryRegistry, tmp_path: Path) -> None:
    """The champion that it replaced is in memory, although the version before it was used since."""
    for number in (3, 4):
        registry.files[str(number)] = tmp_path / f"{number}.cbm"
        train(DATASET, registry.files[str(number)])
        registry.register(str(number), str(number), {NATIVE: str(number)})
    models = RegistryModels(DATASET, registry)
    registry.set_alias(CHAMPION, 3)
    registry.set_alias(PREVIOUS, 1)
    replaced = models.champion()
    assert models.previous() is not None
    registry.set_alias(CHAMPION, 4)
    registry.set_alias(PREVIOUS, 3)
    assert models.champion() is not replaced
    assert models.previous() is replaced


@pytest.mark.failure("F461")
def test_a_version_that_cannot_be_used_is_named(registry: MemoryRegistry) -> None:
    """With the reason: it was deleted, retention deleted its artifacts, or its file is damaged."""
    registry.set_alias(CHAMPION, 2)
    models = RegistryModels(DATASET, registry)
    assert models.champion() is None
    with pytest.raises(Reject, match="the model of version 2 cannot be used"):
        models.numbered(2)
    with pytest.raises(Reject, match="version 3 was deleted"):
        models.numbered(3)
    registry.set_tag(1, ARTIFACTS, "deleted by retention")
    with pytest.raises(Reject, match="the artifacts of version 1 are deleted by retention"):
        models.numbered(1)


def test_a_market_is_left_out_of_predictions_only_if_the_dataset_file_declares_it(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    """Without the declaration a version predicts prices at the level of its training, as inference does."""
    file = tmp_path / "market.cbm"
    train(MARKET_DATASET, file)
    model = CatBoostRegressor().load_model(str(file))
    levels = market_levels().model_copy(update={"now": Level(0.25, 0.003)})
    levels.save(model.get_metadata())
    model.save_model(str(file))
    registry.files["market"] = file
    registry.register("market", "market", {NATIVE: "market"})
    declared = RegistryModels(MARKET_DATASET, registry).numbered(3)
    undeclared = RegistryModels(parse_dataset(MARKET.split("\n[market]")[0]), registry).numbered(3)
    rows = synthetic(MARKET_DATASET, 5)
    assert declared.market == levels
    assert undeclared.market is None
    assert undeclared.predict(rows)[0] == pytest.approx(declared.predict(rows)[0] + 0.25)
