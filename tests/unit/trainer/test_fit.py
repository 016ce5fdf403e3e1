"""The fit of a model in its own process: which champion it is compared with."""

import json
import re
import shutil
from datetime import date
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostRegressor

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.listings import api_rows
from support.markets import FIRST, MARKET, planted_rows
from support.models import train, train_with_intervals
from support.trainer import recipe
from support.twins.shared import MemoryLog
from support.twins.trainer import MemoryBatches
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Reject
from veleta.feature_definition import FeatureDefinition
from veleta.holdout_errors import HoldoutErrors
from veleta.intervals import error_model_file
from veleta.market import Level
from veleta.market_levels import LevelHistory, MarketLevels
from veleta.reference import REFERENCE_FILE, Reference
from veleta.settings import KafkaSettings
from veleta_trainer import fit
from veleta_trainer.adapters.child_protocol import (
    CHAMPION,
    CHAMPION_DATASET,
    EVALUATION,
    GATES_FILE,
    METRICS,
    MODEL,
    RECIPE,
)
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.evaluation import LARGEST
from veleta_trainer.domain.price_model import predict
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training_data import TrainingData
from veleta_trainer.training_folder import load_champion


@pytest.fixture
def dataset() -> Dataset:
    return load_dataset("real_estate")


@pytest.fixture
def folder(dataset: Dataset, tmp_path: Path) -> Path:
    """A folder with a champion and the dataset file of its training."""
    train(dataset, tmp_path / CHAMPION)
    (tmp_path / CHAMPION_DATASET).write_text(dataset.text, encoding="utf-8")
    return tmp_path


@pytest.mark.failure("F269")
@pytest.mark.parametrize("kind", CHANGES)
def test_a_champion_is_compared_unless_it_learnt_otherwise(kind: str, folder: Path) -> None:
    """From other features, or from rows that the present identity puts into the holdout. The reason names it."""
    change = CHANGES[kind]
    reason = change.model_refuses or ("identity was street, city" if kind == "identity" else "")
    if not reason:
        assert load_champion(folder, change.dataset()) is not None
        return
    with pytest.raises(
        Reject, match=f"the model (learnt from other features|may have learnt rows .*): {re.escape(reason)}"
    ):
        load_champion(folder, change.dataset())


def test_without_an_identity_another_input_moves_rows_of_the_holdout(dataset: Dataset, folder: Path) -> None:
    """The champion may have learnt them. So it is with an identity of which a row may lack a part."""
    for identity in ("", 'identity = ["street", "city"]'):
        before = re.sub(r"identity = .*", identity, dataset.text)
        before = before.replace('title = "City"', 'title = "City"\noptional = true') if identity else before
        (folder / CHAMPION_DATASET).write_text(before, encoding="utf-8")
        now = before.replace("\n[places]", '\n[[columns]]\nname = "pool"\ntitle = "Pool"\nkind = "boolean"\n[places]')
        assert load_champion(folder, parse_dataset(before)) is not None
        named = "street, city or " if identity else ""
        with pytest.raises(
            Reject, match=rf"rows of this holdout: identity was {named}all inputs \(brokered_by, .*pool"
        ):
            load_champion(folder, parse_dataset(now.replace("\n[example]", "\n[example]\npool = true")))


def test_a_champion_of_an_unknown_dataset_file_is_compared(dataset: Dataset, folder: Path) -> None:
    """A version that a person promoted has no recipe. Without a champion there is nothing to compare."""
    (folder / CHAMPION_DATASET).unlink()
    assert load_champion(folder, CHANGES["identity"].dataset()) is not None
    (folder / CHAMPION).unlink()
    assert load_champion(folder, dataset) is None


@pytest.mark.failure("F295")
def test_a_champion_whose_file_is_damaged_is_not_compared(dataset: Dataset, folder: Path) -> None:
    """It is not the training that fails."""
    path = folder / CHAMPION
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Reject, match="the model's file is damaged"):
        load_champion(folder, dataset)


@pytest.mark.failure("F269")
@pytest.mark.parametrize("kind", ["prefix", "bounds"])
def test_the_recipe_says_why_the_champion_was_not_compared(
    kind: str, folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision uses the reason. A champion of the same features has an error on the holdout."""
    log, changed = MemoryLog(), CHANGES[kind].dataset()
    batches = [publish_batch(log, dataset, 1, number, api_rows(0, 60, number)) for number in range(2)]
    planned = recipe(batches=batches, champion=1, dataset_file=changed.text)
    (folder / RECIPE).write_text(planned.model_dump_json())
    monkeypatch.setattr(fit, "KafkaLog", lambda *_arguments: log)
    fit.main(folder, KafkaSettings(), 1, MemoryBatches())
    fitted = Recipe.model_validate_json((folder / RECIPE).read_text())
    reason = "the model learnt from other features: zip_code had prefix = 3, now 2"
    assert fitted.not_compared == (reason if kind == "prefix" else "")
    metrics = json.loads((folder / METRICS).read_text())
    assert ("champion_mae" in metrics) is (kind == "bounds")
    measured = pd.read_csv(folder / EVALUATION / "measures.csv")
    compared = ["champion"] if kind == "bounds" else []
    assert list(measured["model"].unique()) == ["challenger", *compared, "linear baseline"]
    whole = measured[measured["slice"] == "all rows"].set_index(["model", "metric"])["value"]
    assert metrics["mae"] == pytest.approx(whole["challenger", "mae"])
    assert metrics["linear_mae"] == pytest.approx(whole["linear baseline", "mae"])
    assert {"status = for_sale", "200,000 to 400,000"} & set(measured["slice"])
    assert 0 < len(pd.read_csv(folder / EVALUATION / "largest_errors.csv")) <= LARGEST
    gates = {gate["name"]: gate for gate in json.loads((folder / EVALUATION / GATES_FILE).read_text())}
    assert {"mae", "chance", "slices"} <= set(gates) if kind == "bounds" else set(gates) <= {"example", "coverage"}
    assert gates["example"]["passed"]
    if compared:
        assert gates["mae"]["values"]["challenger"] == pytest.approx(metrics["mae"])
        assert gates["mae"]["values"]["champion"] == pytest.approx(metrics["champion_mae"])
    reference = Reference.read(folder / REFERENCE_FILE)
    assert (reference.train_rows, reference.holdout_rows) == (metrics["train_rows"], metrics["holdout_rows"])
    assert len(reference.numbers["bed"]) == metrics["train_rows"]
    assert len(reference.signed) == len(reference.sizes) == metrics["holdout_rows"]
    assert fmean(reference.signed) == pytest.approx(metrics["bias"], rel=1e-5)
    model = CatBoostRegressor().load_model(str(folder / MODEL))
    assert FeatureDefinition.of_model(model.get_metadata()) == FeatureDefinition.of_dataset(changed)


def test_the_model_contains_what_the_holdout_shows_about_expected_errors(
    folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the holdout the expected errors are right on average. A part of it is in a state that was not learnt."""
    log = MemoryLog()
    batches = [publish_batch(log, dataset, 1, 0, api_rows(0, 600, 1))]
    more = [publish_batch(log, dataset, 1, 1, api_rows(3, 300, 2))]
    (folder / RECIPE).write_text(recipe(batches=batches, more_holdout=more).model_dump_json())
    monkeypatch.setattr(fit, "KafkaLog", lambda *_arguments: log)
    fit.main(folder, KafkaSettings(), 1, MemoryBatches())
    metadata = dict(CatBoostRegressor().load_model(str(folder / MODEL)).get_metadata())
    found = HoldoutErrors.of_model(metadata)
    assert found is not None
    data = TrainingData(dataset)
    for rows in (api_rows(0, 600, 1), api_rows(3, 300, 2)):
        data.append(CleanBatch.of_rows(dataset, [rows]), number=0, holdout_only=True)
    holdout = data.holdout
    assert found.outside == pytest.approx((holdout.frame()["state"] == "Massachusetts").mean(), abs=0.05)
    booster = CatBoostRegressor().load_model(str(folder / MODEL))
    error_model = CatBoostRegressor().load_model(blob=error_model_file(metadata))
    prices, sizes = (predict(model, dataset, holdout.frame()) for model in (booster, error_model))
    expected = [found.expected(size) for size in np.exp(sizes)]
    assert np.mean(expected) == pytest.approx(np.abs(np.log(holdout.prices()) - prices).mean())


def test_in_a_market_models_are_compared_without_its_level(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion learnt the first months. Its later levels are known: prices that rose since are no error of it."""
    market, log = parse_dataset(MARKET), MemoryLog()
    levels = [0.0, 0.01, 0.0, 0.12, 0.25, 0.25]
    params = {"loss_function": "RMSE", "iterations": 40, "depth": 5, "random_seed": 0}
    months = [planted_rows([level], 200, seed=month, first=FIRST + month) for month, level in enumerate(levels)]
    train_with_intervals(market, folder / CHAMPION, [row for month in months[:3] for row in month])
    (folder / CHAMPION_DATASET).write_text(market.text, encoding="utf-8")
    batches = [publish_batch(log, market, 1, number, rows) for number, rows in enumerate(months)]
    periods = {date(2020, 4 + later, 1): Level(level, 0.01) for later, level in enumerate(levels[3:])}
    known = LevelHistory(periods=periods, now=periods[date(2020, 6, 1)])
    monkeypatch.setattr(fit, "KafkaLog", lambda *_arguments: log)
    maes = {}
    for history in (known, LevelHistory()):
        planned = recipe(batches=batches, champion=1, dataset_file=market.text, champion_levels=history, params=params)
        (folder / RECIPE).write_text(planned.model_dump_json())
        shutil.rmtree(folder / EVALUATION, ignore_errors=True)
        fit.main(folder, KafkaSettings(), 1, MemoryBatches())
        assert Recipe.model_validate_json((folder / RECIPE).read_text()).champion_levels == history
        maes[history == known] = json.loads((folder / METRICS).read_text())["champion_mae"]
    assert maes[True] < 0.9 * maes[False]
    found = MarketLevels.of_model(CatBoostRegressor().load_model(str(folder / MODEL)).get_metadata())
    assert found is not None
    assert found.now.value == pytest.approx(0.25, abs=0.05)
    gates = {gate["name"]: gate for gate in json.loads((folder / EVALUATION / GATES_FILE).read_text())}
    assert re.fullmatch(r"MAE \S+ on the \d+ rows of the latest period \(2020-06\)", gates["latest"]["figures"])
    measured = pd.read_csv(folder / EVALUATION / "measures.csv")
    assert "latest period (2020-06)" in set(measured["slice"])
    reference = Reference.read(folder / REFERENCE_FILE)
    assert (reference.last, reference.received) == ((1, 5), 1_200)
    assert reference.later is not None
    assert 500 < len(reference.later.signed) == len(reference.later.sizes) < 700
    assert np.mean(reference.later.signed) == pytest.approx(found.bias, abs=1e-6)
    assert np.std(reference.later.signed) > 0.9 * np.std(reference.signed)
    assert all(len(values) == len(reference.later.signed) for values in reference.later.slices.values())
    assert abs(fmean(reference.signed)) < 0.03
