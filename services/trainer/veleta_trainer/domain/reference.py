"""Builds the reference of a new version: see `veleta.reference`."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import orjson
import pandas as pd
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset
from veleta.features import MIN_TRAINING_ROWS, Features, is_held_out
from veleta.market import periods_of
from veleta.reference import MAX_ROWS, LaterErrors, Reference
from veleta.shap_values import shap_values
from veleta_trainer.domain.interval_model import HoldoutPredictions, halved
from veleta_trainer.domain.market_model import VersionModels
from veleta_trainer.domain.price_model import fit_price_model
from veleta_trainer.domain.training_data import NumberedRows, TrainingData

LATER_ROWS = 500
"""So many rows of the latest periods show which errors a later batch will have."""
EXPLAINED_ROWS = 1_000
"""Rows of the holdout whose SHAP values are the importance of columns. Fewer take as long: the trees need the time."""


@dataclass(frozen=True)
class LearntSample:
    """The part of a reference about the rows that a version learnt from: see `Reference`."""

    numbers: Mapping[str, list[Any]]
    texts: Mapping[str, list[str]]
    train_numbers: list[int]
    received: int
    train_rows: int

    @classmethod
    def of(cls, dataset: Dataset, data: TrainingData) -> Self:
        """That of the training rows of `data`."""
        batch_numbers = data.train_numbers()
        learnt = sampled(batch_numbers, MAX_ROWS)
        numbers, texts = _columns(dataset, data.train.frame().iloc[learnt])
        return cls(
            numbers={name: _shortest(values) for name, values in numbers.items()},
            texts={name: values.tolist() for name, values in texts.items()},
            train_numbers=batch_numbers[learnt].tolist(),
            received=data.received,
            train_rows=len(data.train),
        )


def version_reference(
    dataset: Dataset,
    learnt: LearntSample,
    holdout: NumberedRows,
    predictions: HoldoutPredictions,
    outside: np.ndarray,
    booster: CatBoostRegressor,
    threads: int,
) -> Reference:
    """The reference of a model of prices. `predictions` and `outside`, a mask, are for the rows of its holdout.

    See `CleanRows.outside`.
    """
    frame = holdout.rows.frame()
    sample = sampled(holdout.numbers, MAX_ROWS)
    signed = np.log(predictions.prices[sample]) - predictions.logarithms[sample]
    return Reference(
        numbers=dict(learnt.numbers),
        texts=dict(learnt.texts),
        train_numbers=learnt.train_numbers,
        signed=_shortest(signed),
        sizes=_shortest(predictions.sizes[sample]),
        slices={name: frame[name].iloc[sample].tolist() for name in dataset.evaluation.slices},
        holdout_numbers=holdout.numbers[sample].tolist(),
        received=learnt.received,
        unknown=float(outside.mean()),
        importance=importance(dataset, booster, frame.iloc[sampled(holdout.numbers, EXPLAINED_ROWS)], threads),
        train_rows=learnt.train_rows,
        holdout_rows=len(frame),
    )


def sampled(numbers: np.ndarray, most: int) -> np.ndarray:
    """The positions of at most `most` rows, in their order. `numbers` has the number of the batch of each row.

    Each number has the same count of rows, evenly spaced. A number with fewer rows has all of them, and the others have
    more instead: so a small batch has enough rows to be compared.
    """
    _, counts = np.unique(numbers, return_counts=True)
    groups = sorted(np.split(np.argsort(numbers, kind="stable"), np.cumsum(counts)[:-1]), key=len)
    found, left = list[np.ndarray](), most
    for index, group in enumerate(groups):
        count = min(len(group), left // (len(groups) - index))
        found.append(group[np.arange(count) * len(group) // max(1, count)])
        left -= count
    return np.sort(np.concatenate(found))


def importance(dataset: Dataset, booster: CatBoostRegressor, frame: pd.DataFrame, threads: int) -> dict[str, float]:
    """Each column's share of the sum of the mean absolute SHAP values of features (rows x features).

    The share of a feature that is computed, or of a place, belongs to the column that it is computed from.
    """
    features = Features(dataset, booster.feature_names_)
    pool = Pool(frame[features.names], cat_features=features.categorical)
    influence, _ = shap_values(booster, pool, threads)
    shares = defaultdict[str, float](float)
    for info, mean in zip(features.infos, np.abs(influence).mean(axis=0).tolist(), strict=True):
        shares[info.column] += mean
    total = sum(shares.values()) or 1.0
    return {column: share / total for column, share in shares.items()}


def _columns(dataset: Dataset, frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The numbers (float32) and the texts of the features that are columns of the row themselves."""
    own = [info for info in Features(dataset).infos if info.is_column]
    numbers = {info.name: frame[info.name].to_numpy() for info in own if not info.categorical}
    return numbers, {info.name: frame[info.name].to_numpy() for info in own if info.categorical}


def later_errors(
    dataset: Dataset, data: TrainingData, models: VersionModels, params: Mapping[str, Any], threads: int
) -> LaterErrors | None:
    """The errors on the latest periods, with their holdout, of a model that learnt only the periods before.

    The latest periods are so many that they have LATER_ROWS rows. None without a market, or fewer than half as
    many are left to learn from.
    """
    if models.market is None:
        return None
    rows = data.train.labelled().joined(data.holdout.labelled())
    periods = periods_of(np.asarray(rows.days), models.market.every)
    numbers, counts = np.unique(periods, return_counts=True)
    enough = np.searchsorted(np.cumsum(counts[::-1]), LATER_ROWS)
    first = int(numbers[::-1][min(int(enough), len(numbers) - 1)])
    house, learnt = rows.at(rows.levels(models.market)), ~is_held_out(rows.properties)
    before, later = house.part((periods < first) & learnt), house.part(periods >= first)
    if len(before) < max(len(later) / 2, MIN_TRAINING_ROWS):
        return None
    booster = fit_price_model(dataset, before.frame, before.prices, halved(params), threads)
    predictions = HoldoutPredictions.of_models(dataset, (booster, models.error_model), later)
    signed = np.log(later.prices) - predictions.logarithms
    sample = np.arange(0, len(later), math.ceil(len(later) / MAX_ROWS))
    return LaterErrors(
        signed=_shortest((signed - signed.mean() + models.market.bias)[sample]),
        sizes=_shortest(predictions.sizes[sample]),
        slices={name: later.frame[name].iloc[sample].tolist() for name in dataset.evaluation.slices},
    )


def _shortest(numbers: np.ndarray) -> list[Any]:
    """The shortest decimals of numbers as float32. None if one is not finite."""
    text = orjson.dumps(np.ascontiguousarray(numbers, dtype=np.float32), option=orjson.OPT_SERIALIZE_NUMPY)
    shortest: list[Any] = orjson.loads(text)
    return shortest
