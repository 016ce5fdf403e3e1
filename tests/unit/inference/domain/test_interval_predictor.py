"""Prices with intervals."""

import math

import pytest

from support.memory_inference import DATASET, BedsModel
from veleta.dataset import Values
from veleta.errors import Reject
from veleta.intervals import CALIBRATION, COVERAGE, Calibration
from veleta_inference.domain.interval_predictor import IntervalPredictor, Prediction

EXAMPLE, _ = DATASET.convert(DATASET.example)


def predictor(calibration: Calibration | None) -> IntervalPredictor:
    """One whose model predicts the number of beds plus 1, with errors of size 0.1."""
    booster = BedsModel()
    booster.calibration = calibration
    return IntervalPredictor(DATASET, booster)


def house(beds: float) -> Values:
    """A row with so many beds."""
    return {**EXAMPLE, "bed": beds}


def test_an_interval_is_as_wide_as_its_band_says() -> None:
    """Around the logarithm of the price: the factor of the band times the size that the model of errors predicts."""
    levels = [0.0] * 30 + [2.0] + [9.0] * 19  # 2 at the level 0.8
    calibration = Calibration(edges=[3.5], quantiles=[levels, [5.0] * 50], rows=1_000)
    cheap, expensive = predictor(calibration).predict([house(2.0), house(3.0)])
    assert cheap == pytest.approx(Prediction(math.exp(3), math.exp(3 - 0.2), math.exp(3 + 0.2)))
    assert expensive == pytest.approx(Prediction(math.exp(4), math.exp(4 - 0.5), math.exp(4 + 0.5)))
    assert cheap.coverage == expensive.coverage == COVERAGE


def test_another_level_has_other_widths() -> None:
    """The prices stay, and so do the intervals of the predictor before."""
    calibration = Calibration(edges=[], quantiles=[[float(number) for number in range(50)]], rows=1_000)
    before = predictor(calibration)
    (narrow,), (wide,) = before.predict([house(2.0)]), before.at_level(0.85).predict([house(2.0)])
    assert wide == pytest.approx(Prediction(math.exp(3), math.exp(3 - 3.5), math.exp(3 + 3.5)))
    assert narrow == pytest.approx(Prediction(math.exp(3), math.exp(3 - 3), math.exp(3 + 3)))
    assert before.predict([house(2.0)]) == [narrow]
    assert wide.coverage == COVERAGE
    assert predictor(None).at_level(0.85).predict([house(2.0)]) == [Prediction(math.exp(3))]


@pytest.mark.parametrize("calibration", [None, Calibration(edges=[], quantiles=[[None] * 50], rows=3)])
def test_without_a_valid_quantile_there_is_no_interval(calibration: Calibration | None) -> None:
    """Of an earlier version's model, or with too few rows. The price stays."""
    (prediction,) = predictor(calibration).predict([house(2.0)])
    assert prediction == Prediction(math.exp(3))
    assert prediction.coverage is None


def test_an_interval_that_is_not_finite_is_refused() -> None:
    """As a price that is not."""
    calibration = Calibration(edges=[], quantiles=[[1e9] * 50], rows=1_000)
    with pytest.raises(Reject, match="prediction is not a price"):
        predictor(calibration).predict([house(2.0)])


def test_a_model_whose_calibration_cannot_be_read_is_refused() -> None:
    """The served model stays."""

    class Damaged(BedsModel):
        def get_metadata(self) -> dict[str, str]:
            return {**super().get_metadata(), CALIBRATION: "{"}

    with pytest.raises(Reject, match=r"^the calibration of the model's intervals cannot be read: "):
        IntervalPredictor(DATASET, Damaged())
