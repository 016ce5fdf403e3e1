"""From typed rows to prices: what inference and the registered model's pyfunc both do with the CatBoost model."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from veleta.dataset import Dataset, Values
from veleta.features import Feature, feature_columns, features


class Booster(Protocol):
    """A fitted model (catboost.CatBoostRegressor is one)."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        """The natural logarithm of the price of each row of features, in their order."""
        ...


class Predictor:
    """A model that is asked with typed rows and answers prices, in the target's unit."""

    def __init__(self, dataset: Dataset, booster: Booster) -> None:
        self._columns = feature_columns(dataset)
        self._booster = booster

    def prices(self, rows: Sequence[Values]) -> list[float]:
        """The price of each row, in one call of the model. The target, if a row has it, is not looked at."""
        asked = [features(self._columns, row) for row in rows]
        return [math.exp(value) for value in self._booster.predict(asked)]
