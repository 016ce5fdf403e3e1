"""From typed rows to prices: what inference and the registered model's pyfunc both do with the CatBoost model."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from veleta.dataset import Dataset, Values
from veleta.errors import Reject
from veleta.features import FEATURE_VERSION, Feature, feature_columns, features

FEATURES = "feature_version"


class Booster(Protocol):
    """A fitted model (catboost.CatBoostRegressor is one)."""

    @property
    def feature_names_(self) -> Sequence[str]:
        """The columns that it learnt from, in their order."""
        ...

    def get_metadata(self) -> Mapping[str, str]:
        """What the model file says of itself; FEATURES is the version of the features it learnt from."""
        ...

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        """The natural logarithm of the price of each row of features, in their order."""
        ...


def knows_these_features(booster: Booster) -> bool:
    """Whether a model learnt from features as this code makes them."""
    return booster.get_metadata().get(FEATURES) == str(FEATURE_VERSION)


class Predictor:
    """A model that is asked with typed rows and answers prices, in the target's unit."""

    def __init__(self, dataset: Dataset, booster: Booster) -> None:
        """The model says which columns it learnt from; the dataset may have got more of them since.

        Raises:
            Reject: it learnt from one that is no feature of this dataset, or from features of another version.
        """
        if not knows_these_features(booster):
            raise Reject("the model learnt from other features", f"this code makes version {FEATURE_VERSION}")
        known = {column.name: column for column in feature_columns(dataset)}
        if unknown := [name for name in booster.feature_names_ if name not in known]:
            raise Reject("the model learnt from other columns", ", ".join(unknown))
        self._columns = [known[name] for name in booster.feature_names_]
        self._booster = booster

    def prices(self, rows: Sequence[Values]) -> list[float]:
        """The price of each row, in one call of the model. The target, if a row has it, is not looked at.

        Raises:
            Reject: what the model says of one of them is no price.
        """
        asked = [features(self._columns, row) for row in rows]
        try:
            prices = [math.exp(value) for value in self._booster.predict(asked)]
        except OverflowError:
            prices = [math.inf]
        if not all(map(math.isfinite, prices)):
            raise Reject("the model gives no price", "it is not finite")
        return prices
