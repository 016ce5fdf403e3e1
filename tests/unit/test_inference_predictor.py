"""From rows to prices."""

import math
from collections.abc import Sequence

from veleta.dataset import load_dataset
from veleta.features import Feature, feature_columns
from veleta.predictor import Predictor

DATASET = load_dataset("real_estate")


class Remembering:
    """A model that says 1, 2, ... and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Sequence[Feature]]] = []

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        self.asked.append(data)
        return [float(i + 1) for i in range(len(data))]


def test_all_rows_are_asked_in_one_call_and_logs_become_prices() -> None:
    """The model predicts the logarithm; a call costs the same for one row and for sixteen."""
    model = Remembering()
    example, _ = DATASET.convert(DATASET.example)
    assert Predictor(DATASET, model).prices([example, example]) == [math.exp(1), math.exp(2)]
    assert len(model.asked) == 1
    assert len(model.asked[0][0]) == len(feature_columns(DATASET))


def test_the_model_never_sees_the_target() -> None:
    """A price that the client sent must not come back as a prediction."""
    model = Remembering()
    example, _ = DATASET.convert(DATASET.example)
    Predictor(DATASET, model).prices([example])
    Predictor(DATASET, model).prices([{**example, DATASET.target: None}])
    assert model.asked[0] == model.asked[1]
