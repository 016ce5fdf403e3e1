"""Explanations: they add up to the price, and a child process that dies or is too slow is replaced."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.models import synthetic, train
from veleta.adapters.booster import NativeBooster
from veleta.contributions import price_contributions
from veleta.dataset import load_dataset
from veleta.errors import Reject, Retry
from veleta.model_digest import model_digest
from veleta.ports import Version
from veleta_inference.adapters.explainer_pool import ExplainerPool
from veleta_inference.domain.error_window import ErrorWindow
from veleta_inference.domain.interval_predictor import IntervalPredictor
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.value_checks import ValueChecks

DATASET = load_dataset("real_estate")
ROWS = synthetic(DATASET, 5)
CHECKS = ValueChecks(DATASET, None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model with its file."""
    path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path, rows=synthetic(DATASET, 200))
    predictor = IntervalPredictor(DATASET, NativeBooster(path))
    promotion, digest = Promotion(Version(1, "run", {}), 1, {}), model_digest(path.read_bytes())
    window = ErrorWindow(None)
    return LoadedModel(promotion, predictor, CHECKS, window, datetime.now(UTC), path, digest, verified=True)


@pytest.fixture
async def explainers() -> AsyncIterator[ExplainerPool]:
    pool = ExplainerPool("real_estate", 1, 60)
    yield pool
    await pool.close()


async def test_an_explanation_adds_up_to_the_price(model: LoadedModel, explainers: ExplainerPool) -> None:
    """Base price plus contributions, for each row. All rows have one base price.

    Each contribution is that of a column: a derived feature counts for one of its columns.
    """
    columns, shap_values = await explainers.shap_values(model, ROWS)
    assert columns == [column.name for column in DATASET.inputs if column.is_feature]
    bases = set()
    for price, values in zip(model.predictor.prices(ROWS), shap_values, strict=True):
        base, contributions = price_contributions(price, values)
        assert base + sum(contributions) == pytest.approx(price, rel=1e-9)
        bases.add(round(base, 3))
    assert len(bases) == 1
    assert any(abs(value) > 0 for values in shap_values for value in values)


@pytest.mark.failure("F132")
async def test_a_child_that_dies_is_replaced(model: LoadedModel, explainers: ExplainerPool) -> None:
    """Its request fails with Retry, and the next one is answered."""
    await explainers.shap_values(model, ROWS[:1])
    (child,) = explainers.children
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(Retry, match="explainer: its process ended"):
        await explainers.shap_values(model, ROWS[:1])
    assert await explainers.shap_values(model, ROWS[:1])


async def test_a_deleted_model_file_means_retry(model: LoadedModel, explainers: ExplainerPool, tmp_path: Path) -> None:
    """Somebody deleted it: the file of a model that is in use stays."""
    gone = replace(model, path=tmp_path / "gone.cbm")
    with pytest.raises(Retry, match="explainer: its process ended"):
        await explainers.shap_values(gone, ROWS[:1])


@pytest.mark.failure("F365")
async def test_another_model_file_is_not_explained(
    model: LoadedModel, explainers: ExplainerPool, tmp_path: Path
) -> None:
    """Somebody replaced the file of the served model: the client learns it, and the child explains the next one."""
    other = tmp_path / "other.cbm"
    train(DATASET, other, 2.0)
    with pytest.raises(Reject, match="the model's file is not the one that was trained"):
        await explainers.shap_values(replace(model, path=other), ROWS[:1])
    assert await explainers.shap_values(model, ROWS[:1])


@pytest.mark.failure("F56")
async def test_a_child_that_misses_the_deadline_is_killed(model: LoadedModel) -> None:
    """Its request fails with Retry."""
    pool = ExplainerPool("real_estate", 1, 0.05)
    with pytest.raises(Retry, match=r"explainer: no explanation within 0\.05 s"):
        await pool.shap_values(model, ROWS)
    assert not pool.children
    await pool.close()
