"""Explanations: in money, adding up to the price, by children that may die or be slow."""

import math
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from catboost import CatBoostRegressor

from support.models import synthetic, train
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.ports import Version
from veleta.predictor import Predictor
from veleta_inference.adapters.explainer_pool import Explainers
from veleta_inference.domain.contributions import in_money
from veleta_inference.domain.promotions import Promotion, Served

DATASET = load_dataset("real_estate")
ROWS = synthetic(DATASET, 5)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A version with a model file of its own."""
    path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path, rows=synthetic(DATASET, 200))
    predictor = Predictor(DATASET, CatBoostRegressor().load_model(str(path)))
    return Served(Promotion(Version(1, "run", {}), 1, {}), predictor, datetime.now(UTC), path, path.parent)


@pytest.fixture
async def explainers() -> AsyncIterator[Explainers]:
    made = Explainers("real_estate", 1, 60)
    yield made
    await made.close()


async def test_an_explanation_adds_up_to_the_price(served: Served, explainers: Explainers) -> None:
    """Base value and contributions, of each row; the base is that of the whole model."""
    names, found = await explainers.shares(served, ROWS)
    assert names == list(CatBoostRegressor().load_model(str(served.model)).feature_names_)
    bases = set()
    for price, shares in zip(served.predictor.prices(ROWS), found, strict=True):
        base, added = in_money(price, shares)
        assert base + sum(added) == pytest.approx(price, rel=1e-9)
        bases.add(round(base, 3))
    assert len(bases) == 1
    assert any(abs(share) > 0 for shares in found for share in shares)


@pytest.mark.failure("F56")
async def test_a_child_that_dies_gives_way_to_another(served: Served, explainers: Explainers) -> None:
    """Who asked it is told to come back; the next one is answered."""
    await explainers.shares(served, ROWS[:1])
    (child,) = explainers.alive()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(Retry, match="explainer: its process ended"):
        await explainers.shares(served, ROWS[:1])
    assert await explainers.shares(served, ROWS[:1])


async def test_a_model_that_is_gone_is_told(served: Served, explainers: Explainers, tmp_path: Path) -> None:
    """Another version was swapped in, and its file deleted: the client asks again."""
    gone = Served(served.promotion, served.predictor, served.loaded_at, tmp_path / "gone.cbm", tmp_path)
    with pytest.raises(Retry, match="explainer: its process ended"):
        await explainers.shares(gone, ROWS[:1])


@pytest.mark.failure("F56")
async def test_nobody_waits_longer_than_the_deadline(served: Served) -> None:
    """The child that was too slow is ended."""
    hasty = Explainers("real_estate", 1, 0.05)
    with pytest.raises(Retry, match=r"explainer: no explanation within 0\.05 s"):
        await hasty.shares(served, ROWS)
    assert hasty.alive() == []
    await hasty.close()


@pytest.mark.parametrize("shares", [[0.5, -0.2, 0.0], [0.0, 0.0], [0.3, -0.3], [1e-18, 0.0], [-3.0]])
def test_shares_of_a_logarithm_become_money(shares: list[float]) -> None:
    """In proportion, whatever their sum."""
    base, added = in_money(200_000.0, shares)
    assert base == pytest.approx(200_000.0 * math.exp(-sum(shares)))
    assert base + sum(added) == pytest.approx(200_000.0)
    assert [math.copysign(1, a) for a in added] == [math.copysign(1, s) for s in shares]
