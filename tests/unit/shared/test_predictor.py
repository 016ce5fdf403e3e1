"""From rows to prices."""

import math
from collections.abc import Sequence

import pytest

from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.features import FEATURE_VERSION, Feature, feature_columns
from veleta.predictor import FEATURES, Predictor

DATASET = load_dataset("real_estate")


class Remembering:
    """A model that says 1, 2, ... and remembers what it was asked."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.feature_names_ = names or [column.name for column in feature_columns(DATASET)]
        self.version = FEATURE_VERSION
        self.says: float | None = None
        self.asked: list[Sequence[Sequence[Feature]]] = []

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(self.version)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        self.asked.append(data)
        return [self.says or float(i + 1) for i in range(len(data))]


def test_all_rows_are_asked_in_one_call_and_logs_become_prices() -> None:
    """The model predicts the logarithm; a call costs the same for one row and for sixteen."""
    model = Remembering()
    example, _ = DATASET.convert(DATASET.example)
    assert Predictor(DATASET, model).prices([example, example]) == [math.exp(1), math.exp(2)]
    assert len(model.asked) == 1
    assert len(model.asked[0][0]) == len(feature_columns(DATASET))


def test_a_model_is_asked_with_the_columns_it_learnt_from() -> None:
    """In its own order: the dataset may have got new columns, or another order, since it was trained."""
    model = Remembering(["city", "bed"])
    example, _ = DATASET.convert(DATASET.example)
    Predictor(DATASET, model).prices([example])
    assert model.asked == [[["East Windsor", 4.0]]]


def test_a_model_of_other_columns_is_refused() -> None:
    """It could only be asked wrongly."""
    with pytest.raises(Reject, match="learnt from other columns: garage"):
        Predictor(DATASET, Remembering(["bed", "garage"]))


def test_a_model_of_other_features_is_refused() -> None:
    """A model bears the version of the features it learnt from; another code's features are other numbers."""
    model = Remembering()
    model.version = FEATURE_VERSION + 1
    with pytest.raises(Reject, match="learnt from other features"):
        Predictor(DATASET, model)


@pytest.mark.parametrize("said", [math.nan, math.inf, 1e9])
def test_what_is_no_price_is_not_told(said: float) -> None:
    """JSON has no NaN, and nobody pays an infinite price."""
    model = Remembering()
    example, _ = DATASET.convert(DATASET.example)
    model.says = said
    with pytest.raises(Reject, match="gives no price"):
        Predictor(DATASET, model).prices([example, example])


def test_the_model_never_sees_the_target() -> None:
    """A price that the client sent must not come back as a prediction."""
    model = Remembering()
    example, _ = DATASET.convert(DATASET.example)
    Predictor(DATASET, model).prices([example])
    Predictor(DATASET, model).prices([{**example, DATASET.target: None}])
    assert model.asked[0] == model.asked[1]
