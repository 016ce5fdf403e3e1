"""Builds the reference of a new version: see `veleta.reference`."""

import math
from collections import defaultdict
from typing import Any

import numpy as np
import orjson
import pandas as pd
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset
from veleta.features import Features
from veleta.reference import MAX_ROWS, Reference
from veleta.shap_values import shap_values
from veleta.unknown_values import unknown_share_by_column
from veleta_trainer.domain.clean_rows import CleanRows
from veleta_trainer.domain.interval_model import HoldoutPredictions

EXPLAINED_ROWS = 1_000
"""Rows of the holdout whose SHAP values are the importance of columns. Fewer take as long: the trees need the time."""


def version_reference(
    dataset: Dataset,
    train: CleanRows,
    holdout: pd.DataFrame,
    predictions: HoldoutPredictions,
    booster: CatBoostRegressor,
    threads: int,
) -> Reference:
    """The reference of a model that was fitted on `train`. `holdout` are the features of the rows of `predictions`."""
    numbers, texts = _columns(dataset, _evenly(train.frame(), MAX_ROWS))
    sample = slice(None, None, _step(len(holdout), MAX_ROWS))
    signed = np.log(predictions.prices[sample]) - predictions.logarithms[sample]
    return Reference(
        numbers={name: _shortest(values) for name, values in numbers.items()},
        texts={name: values.tolist() for name, values in texts.items()},
        signed=_shortest(signed),
        sizes=_shortest(predictions.sizes[sample]),
        slices={name: holdout[name].iloc[sample].tolist() for name in dataset.evaluation.slices},
        unknown=unknown_share_by_column(train.training_values(), *_columns(dataset, holdout)),
        importance=importance(dataset, booster, _evenly(holdout, EXPLAINED_ROWS), threads),
        train_rows=len(train),
        holdout_rows=len(holdout),
    )


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


def _evenly(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """Every k-th row: at most `most` rows."""
    return frame.iloc[:: _step(len(frame), most)]


def _step(rows: int, most: int) -> int:
    return math.ceil(rows / most)


def _shortest(numbers: np.ndarray) -> list[Any]:
    """The shortest decimals of numbers as float32. None if one is not finite."""
    text = orjson.dumps(np.ascontiguousarray(numbers, dtype=np.float32), option=orjson.OPT_SERIALIZE_NUMPY)
    shortest: list[Any] = orjson.loads(text)
    return shortest
