"""Prices of typed rows by a CatBoost model. Inference and the registered model's pyfunc use the same code."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from veleta.dataset import Dataset, Values
from veleta.errors import Reject
from veleta.features import FEATURE_VERSION, Feature, feature_columns, features

FEATURES = "feature_version"


class Booster(Protocol):
    """A fitted model, such as catboost.CatBoostRegressor."""

    @property
    def feature_names_(self) -> Sequence[str]:
        """The columns of its features, in their order."""

    def get_metadata(self) -> Mapping[str, str]:
        """The metadata of the model file. FEATURES is the version of the features it was trained with."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        """The natural logarithm of the price of each row of features (rows x features), in their order."""


def has_current_features(booster: Booster) -> bool:
    """Whether a model was trained with features as this code computes them."""
    return booster.get_metadata().get(FEATURES) == str(FEATURE_VERSION)


class Predictor:
    """Predicts the prices of typed rows, in the target's unit."""

    def __init__(self, dataset: Dataset, booster: Booster) -> None:
        """The model's features are a subset of the dataset's, which may have more columns since the training.

        Raises:
            Reject: a feature is not a feature of this dataset, or the features have another version.
        """
        if not has_current_features(booster):
            raise Reject("the model learnt from other features", f"this code computes version {FEATURE_VERSION}")
        columns = {column.name: column for column in feature_columns(dataset)}
        if unknown := [name for name in booster.feature_names_ if name not in columns]:
            raise Reject("the model learnt from other columns", ", ".join(unknown))
        self._columns = [columns[name] for name in booster.feature_names_]
        self._booster = booster

    def prices(self, rows: Sequence[Values]) -> list[float]:
        """The price of each row, by one call of the model. The target is ignored.

        Raises:
            Reject: one of the predictions is not finite.
        """
        data = [features(self._columns, row) for row in rows]
        try:
            prices = [math.exp(logarithm) for logarithm in self._booster.predict(data)]
        except OverflowError:
            prices = [math.inf]
        if not all(map(math.isfinite, prices)):
            raise Reject("the model's prediction is not a price", "it is not finite")
        return prices
