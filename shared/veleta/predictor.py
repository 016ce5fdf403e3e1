"""Prices of typed rows by a CatBoost model. Inference and the registered model's pyfunc use the same code."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Protocol

from veleta.dataset import Dataset, Values, parse_dataset
from veleta.errors import Reject, one_line
from veleta.feature_definition import FeatureDefinition, FeatureSource
from veleta.features import Feature, Features
from veleta.market_levels import MarketLevels

FEATURES = "feature_version"


class OtherFeatures(Reject):
    """A model learnt from features that the dataset file does not define, or defines in another way."""


class Booster(Protocol):
    """A fitted model, such as catboost.CatBoostRegressor.

    That of a dataset with a market predicts prices without the level: see `veleta.market_levels`.
    """

    @property
    def feature_names_(self) -> Sequence[str]:
        """The columns of its features, in their order."""

    def get_metadata(self) -> Mapping[str, str]:
        """The metadata of the model file. FEATURES is the version of the features it was trained with."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        """The natural logarithm of the price of each row of features (rows x features), in their order."""


def check_features(dataset: Dataset, booster: Booster, trained_with: str | None = None) -> None:
    """Check that a model's features are features of this dataset, computed as for its training.

    A model of an earlier version does not contain its definition. Then the dataset file that it was `trained_with` is
    used. Without one only the names and the version of the features are compared.

    Raises:
        OtherFeatures: the message names each difference.
    """
    present = FeatureDefinition.of_dataset(dataset)
    definition = FeatureDefinition.of_model(booster.get_metadata()) or _earlier_definition(
        booster, parse_dataset(trained_with) if trained_with else dataset
    )
    if differences := definition.differences(present):
        raise OtherFeatures("the model learnt from other features", "; ".join(differences))


class Predictor:
    """Predicts the prices of typed rows, in the target's unit."""

    def __init__(self, dataset: Dataset, booster: Booster, trained_with: str | None = None) -> None:
        """The model's features are a subset of the dataset's, which may have more columns since the training.

        `market` has the levels of its market: None without one, or if the dataset does not have this one any more.
        `offset` is the level that prices are asked at, at first that of the training.

        Raises:
            OtherFeatures: see `check_features`.
            Reject: the levels of the market cannot be read.
        """
        check_features(dataset, booster, trained_with)
        self._features = Features(dataset, booster.feature_names_)
        self._booster = booster
        try:
            market = MarketLevels.of_model(booster.get_metadata())
        except ValueError as error:
            raise Reject("the levels of the market in the model's file cannot be read", one_line(error)) from error
        declared = market and dataset.market and market.time == dataset.market.time
        self.market = market if declared else None
        self.offset = market.now.value if market else 0.0

    def prices(self, rows: Sequence[Values], offsets: Iterable[float] | None = None) -> list[float]:
        """The price of each row, by one call of the model. The target is ignored.

        With `offsets` each row's price is at its own level.

        Raises:
            Reject: one of the predictions is not finite.
        """
        try:
            pairs = zip(self._booster.predict(self.features(rows)), offsets or repeat(self.offset))  # noqa: B905 - endless
            prices = [math.exp(logarithm + offset) for logarithm, offset in pairs]
        except OverflowError:
            prices = [math.inf]
        if not all(map(math.isfinite, prices)):
            raise not_a_price()
        return prices

    def features(self, rows: Sequence[Values]) -> list[list[Feature]]:
        """The features of rows that the model learnt from, in its order (rows x features)."""
        return [self._features.of(row) for row in rows]


def not_a_price() -> Reject:
    """The error of a prediction that is not finite."""
    return Reject("the model's prediction is not a price", "it is not finite")


def _earlier_definition(booster: Booster, dataset: Dataset) -> FeatureDefinition:
    """The definition of a model whose file has none, if it was trained with this dataset file."""
    version = booster.get_metadata().get(FEATURES, "")
    definition = FeatureDefinition.of_dataset(dataset, int(version) if version.isdigit() else 0)
    sources = {each.name: each for each in definition.features}
    unknown = [FeatureSource(name=name, kind="") for name in booster.feature_names_ if name not in sources]
    known = [sources[name] for name in booster.feature_names_ if name in sources]
    return definition.model_copy(update={"features": [*known, *unknown]})
