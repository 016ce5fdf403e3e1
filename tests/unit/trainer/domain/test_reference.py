"""The reference of a new version."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor, Pool

from support.bicycles import BICYCLES, bicycles_csv
from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Dataset, Row, load_dataset
from veleta.features import Features
from veleta.reference import MAX_ROWS, Reference
from veleta.shap_values import shap_values
from veleta.unknown_values import unknown_share_by_column
from veleta_trainer.domain import reference
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.price_model import fit_price_model, predict
from veleta_trainer.domain.reference import LearntSample, importance, sampled, version_reference
from veleta_trainer.domain.training_data import TrainingData

ROWS = api_rows(0, 400, 3)
PARAMS = {"loss_function": "RMSE", "iterations": 30, "depth": 4, "random_seed": 0, "max_ctr_complexity": 1}
BYTES_PER_ROW = 200
"""Of a file with one training row and one holdout row: 2 MB with the most rows of both."""


def training_data(rows: Sequence[Row], dataset: Dataset = DATASET) -> TrainingData:
    data = TrainingData(dataset)
    data.append(CleanBatch.of_rows(dataset, [rows]), 0, holdout_only=False)
    return data


DATA = training_data(ROWS)
HOLDOUT = DATA.holdout.frame()
BOOSTER = fit_price_model(DATASET, DATA.train.frame(), DATA.train.prices(), PARAMS, 1)
PREDICTIONS = HoldoutPredictions(
    predict(BOOSTER, DATASET, HOLDOUT),
    np.linspace(0.1, 0.2, len(HOLDOUT)),
    DATA.holdout.prices(),
    DATA.holdout.properties(),
)


def reference_of(
    dataset: Dataset, data: TrainingData, predictions: HoldoutPredictions, booster: CatBoostRegressor
) -> Reference:
    outside = data.holdout.outside(data.train.training_values())
    learnt, holdout = LearntSample.of(dataset, data), data.numbered_holdout()
    return version_reference(dataset, learnt, holdout, predictions, outside, booster, 1)


def made() -> Reference:
    return reference_of(DATASET, DATA, PREDICTIONS, BOOSTER)


def test_it_has_the_columns_that_the_version_learnt_from() -> None:
    """As the model sees them: float32, dates as years and prefixes. Nothing that is computed, and no place."""
    found, frame = made(), DATA.train.frame()
    assert found.numbers.keys() | found.texts.keys() == {c.name for c in DATASET.inputs if c.is_feature}
    for name, numbers in found.numbers.items():
        assert np.array(numbers, dtype=np.float32).tolist() == frame[name].tolist()
    for name, texts in found.texts.items():
        assert texts == frame[name].tolist()
    assert set(found.numbers["acre_lot"]) <= {row["acre_lot"] for row in ROWS}, "0.17, not 0.17000000178813934"
    assert (found.train_rows, found.holdout_rows) == (len(frame), len(HOLDOUT))


def test_it_has_the_errors_on_the_holdout() -> None:
    """Positive if the price is above its prediction. With their expected sizes and the declared slices."""
    found = made()
    errors = np.log(DATA.holdout.prices()) - PREDICTIONS.logarithms
    assert found.signed == pytest.approx(errors, rel=1e-6)
    assert found.sizes == pytest.approx(PREDICTIONS.sizes, rel=1e-6)
    assert found.slices == {name: HOLDOUT[name].tolist() for name in DATASET.evaluation.slices}


def test_samples_are_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts, and the share of unknown rows, are those of all rows."""
    every, rows = made(), len(HOLDOUT) // 2
    monkeypatch.setattr(reference, "MAX_ROWS", rows)
    found = made()
    learnt, held = ([at * total // rows for at in range(rows)] for total in (every.train_rows, len(HOLDOUT)))
    assert found.numbers == {name: [values[at] for at in learnt] for name, values in every.numbers.items()}
    assert found.texts == {name: [values[at] for at in learnt] for name, values in every.texts.items()}
    assert found.signed == [every.signed[at] for at in held]
    assert found.sizes == [every.sizes[at] for at in held]
    assert found.slices == {name: [values[at] for at in held] for name, values in every.slices.items()}
    assert (found.unknown, found.train_rows, found.holdout_rows) == (
        every.unknown,
        every.train_rows,
        every.holdout_rows,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({0: 500, 1: 40, 2: 700}, {0: 130, 1: 40, 2: 130}),
        ({5: 300, 3: 300}, {5: 150, 3: 150}),
        ({0: 299, 1: 1}, {0: 299, 1: 1}),
        (dict.fromkeys(range(900), 2), dict.fromkeys(range(600, 900), 1)),
    ],
    ids=["a small batch", "equal batches", "few rows", "many batches"],
)
def test_each_batch_number_has_the_same_share_of_a_sample(rows: dict[int, int], expected: dict[int, int]) -> None:
    """A small batch gives all of its rows, and the others the rest. The order stays."""
    numbers = np.repeat(list(rows), list(rows.values()))
    positions = sampled(numbers, 300)
    assert positions.tolist() == sorted(set(positions.tolist()))
    found = numbers[positions].tolist()
    assert {number: found.count(number) for number in set(found)} == expected


def test_a_small_batch_of_a_million_rows_can_be_compared() -> None:
    """Its rows are spread over all of it."""
    numbers = np.repeat([0, 3, 1], [500_000, 4_055, 580_854])
    positions = sampled(numbers, MAX_ROWS)
    small = positions[numbers[positions] == 3] - 500_000
    assert len(positions) == MAX_ROWS
    assert len(small) == MAX_ROWS // 3
    assert np.diff(small).max() == 2


def test_each_sampled_row_has_the_number_of_its_batch() -> None:
    """Of the rows that were learnt, and of the holdout, to which further batches may belong."""
    data = TrainingData(DATASET)
    for number in (4, 2):
        data.append(CleanBatch.of_rows(DATASET, [api_rows(0, 200, number)]), number, holdout_only=False)
    data.append(CleanBatch.of_rows(DATASET, [api_rows(0, 100, 9)]), 9, holdout_only=True)
    holdout = data.holdout
    predictions = HoldoutPredictions(
        predict(BOOSTER, DATASET, holdout.frame()), np.ones(len(holdout)), holdout.prices(), holdout.properties()
    )
    found = reference_of(DATASET, data, predictions, BOOSTER)
    assert found.train_numbers == sorted(found.train_numbers, reverse=True)
    assert set(found.train_numbers) == {4, 2}
    assert set(found.holdout_numbers) == {4, 2, 9}
    assert len(found.holdout_numbers) == len(found.signed)
    assert 100 < found.train_numbers.count(4) == 200 - found.holdout_numbers.count(4)


def test_unknown_rows_are_those_that_the_model_would_warn_of() -> None:
    """By the values in its own file."""
    learnt = DATA.train.training_values()
    columns = {name: HOLDOUT[name].to_numpy() for name in [*learnt.ranges, *learnt.texts]}
    assert 0 < made().unknown == unknown_share_by_column(learnt, columns, columns) < 1


def test_the_importance_of_places_is_that_of_their_key() -> None:
    """Each feature belongs to one column, so that the shares add up to 1."""
    features = Features(DATASET)
    values, _ = shap_values(BOOSTER, Pool(HOLDOUT, cat_features=features.categorical))
    means = np.abs(values).mean(axis=0)
    shares = made().importance
    assert sum(shares.values()) == pytest.approx(1)
    assert shares.keys() == {info.column for info in features.infos}
    assert DATASET.places
    own = {DATASET.places.key, *features.place_names}
    of_key = sum(mean for mean, name in zip(means, features.names, strict=True) if name in own)
    assert shares[DATASET.places.key] == pytest.approx(of_key / means.sum())


def test_a_model_without_any_influence_has_no_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    """It predicts one price, so no column matters."""
    influence = np.zeros((1, len(Features(DATASET).infos)))
    monkeypatch.setattr(reference, "shap_values", lambda *_: (influence, np.zeros(1)))
    assert set(importance(DATASET, BOOSTER, HOLDOUT, 1).values()) == {0.0}


def test_importance_is_measured_on_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promotion waits for it."""
    measured: list[int] = []

    def counting(booster: CatBoostRegressor, pool: Pool, threads: int) -> object:
        measured.append(pool.num_row())
        return shap_values(booster, pool, threads)

    monkeypatch.setattr(reference, "shap_values", counting)
    monkeypatch.setattr(reference, "EXPLAINED_ROWS", 20)
    made()
    assert 10 < measured[0] <= 20


def test_a_dataset_without_places_and_slices_has_a_reference() -> None:
    """The second example has other kinds of columns."""
    dataset = load_dataset(str(BICYCLES))
    data = training_data([*csv.DictReader(io.StringIO(bicycles_csv()))], dataset)
    booster = fit_price_model(dataset, data.train.frame(), data.train.prices(), PARAMS, 1)
    holdout = data.holdout.frame()
    logarithms = predict(booster, dataset, holdout)
    predictions = HoldoutPredictions(
        logarithms, np.ones(len(holdout)), data.holdout.prices(), data.holdout.properties()
    )
    found = reference_of(dataset, data, predictions, booster)
    assert found.numbers.keys() | found.texts.keys() == {c.name for c in dataset.inputs if c.is_feature}
    assert 0 <= found.unknown < 1
    assert found.slices == {}


def test_the_file_is_small(tmp_path: Path) -> None:
    """It is downloaded by each reader."""
    path = tmp_path / "reference.json"
    found = made()
    found.write(path)
    assert path.stat().st_size < BYTES_PER_ROW * len(found.signed) + 120 * (found.train_rows - len(found.signed))
    assert Reference.read(path) == found
