"""Predictor: prices of typed rows."""

import math
from collections.abc import Sequence

import pytest

from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.features import FEATURE_VERSION, Feature, Features
from veleta.predictor import FEATURES, Predictor

DATASET = load_dataset("real_estate")
EXAMPLE, _ = DATASET.convert(DATASET.example)


class RecordingModel:
    """A model that predicts 1, 2, ..., or `prediction`, and records its calls."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.feature_names_ = names or Features(DATASET).names
        self.version = FEATURE_VERSION
        self.prediction: float | None = None
        self.calls: list[Sequence[Sequence[Feature]]] = []

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(self.version)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        self.calls.append(data)
        return [self.prediction or float(i + 1) for i in range(len(data))]


def test_all_rows_are_predicted_in_one_call() -> None:
    """The model predicts the logarithm of the price. A call takes the same time for one row and for sixteen."""
    model = RecordingModel()
    assert Predictor(DATASET, model).prices([EXAMPLE, EXAMPLE]) == [math.exp(1), math.exp(2)]
    assert len(model.calls) == 1
    assert len(model.calls[0][0]) == len(Features(DATASET).names)


def test_a_model_gets_the_features_of_its_training() -> None:
    """In its own order. The dataset may have new columns, or another order, since the training."""
    model = RecordingModel(["city", "bed"])
    Predictor(DATASET, model).prices([EXAMPLE])
    assert model.calls == [[["East Windsor", 4.0]]]


def test_a_model_of_other_columns_is_refused() -> None:
    """The dataset has no values for them."""
    with pytest.raises(Reject, match="learnt from other features: garage is no feature now"):
        Predictor(DATASET, RecordingModel(["bed", "garage"]))


def test_a_model_of_other_features_is_refused() -> None:
    """The metadata contain the version of the features. Another version has other values."""
    model = RecordingModel()
    model.version = FEATURE_VERSION + 1
    with pytest.raises(Reject, match="learnt from other features"):
        Predictor(DATASET, model)


@pytest.mark.parametrize("prediction", [math.nan, math.inf, 1e9])
def test_a_prediction_that_is_not_finite_is_refused(prediction: float) -> None:
    """JSON has no NaN, and a price is finite."""
    model = RecordingModel()
    model.prediction = prediction
    with pytest.raises(Reject, match="prediction is not a price"):
        Predictor(DATASET, model).prices([EXAMPLE, EXAMPLE])


def test_the_model_does_not_get_the_target() -> None:
    """A price that the client sent must not be the prediction."""
    model = RecordingModel()
    Predictor(DATASET, model).prices([EXAMPLE])
    Predictor(DATASET, model).prices([{**EXAMPLE, DATASET.target: None}])
    assert model.calls[0] == model.calls[1]
