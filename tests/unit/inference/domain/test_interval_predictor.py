"""Prices with intervals and expected errors."""

import math
from datetime import date

import pytest

from support.market_levels import LEARNT
from support.memory_inference import DATASET, BedsModel
from veleta.dataset import Values
from veleta.errors import Reject
from veleta.holdout_errors import METADATA, HoldoutErrors
from veleta.intervals import CALIBRATION, COVERAGE, MIN_SIZE, Calibration
from veleta_inference.domain.interval_predictor import IntervalPredictor, Prediction
from veleta_inference.domain.served_market import PriceLevel

EXAMPLE, _ = DATASET.convert(DATASET.example)


def predictor(calibration: Calibration | None, errors: HoldoutErrors | None = None) -> IntervalPredictor:
    """One whose model predicts the number of beds plus 1, with errors of size 0.1."""
    booster = BedsModel()
    booster.calibration, booster.holdout_errors = calibration, errors
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


@pytest.mark.parametrize("factors", [[2.0] * 50, [None] * 50])
def test_a_row_has_an_expected_error(factors: list[float | None]) -> None:
    """That of the holdout's ratio, also where too few rows are known for an interval, and at every level."""
    calibration, errors = Calibration(edges=[], quantiles=[factors], rows=100), HoldoutErrors(ratio=1.5, outside=0.0)
    made = predictor(calibration, errors)
    expected = pytest.approx(1.5 * (0.1 - MIN_SIZE))
    for each in (made, made.at_level(0.85)):
        assert [prediction.expected_error for prediction in each.predict([house(2.0), house(3.0)])] == [expected] * 2
    assert made.holdout_errors == errors


@pytest.mark.failure("F448")
def test_without_the_figures_of_the_holdout_no_error_is_expected() -> None:
    """Nor without a model of errors."""
    calibration, errors = Calibration(edges=[], quantiles=[[2.0] * 50], rows=100), HoldoutErrors(ratio=1.0, outside=0.0)
    for made in (predictor(calibration), predictor(None, errors)):
        assert made.holdout_errors is None
        assert made.predict([house(2.0)])[0].expected_error is None


@pytest.mark.parametrize("damaged", [CALIBRATION, METADATA])
def test_a_model_whose_figures_cannot_be_read_is_refused(damaged: str) -> None:
    """The served model stays."""

    class Damaged(BedsModel):
        def get_metadata(self) -> dict[str, str]:
            return {**super().get_metadata(), damaged: "{"}

    with pytest.raises(Reject, match=r"^what the model's file says of its errors cannot be read: "):
        IntervalPredictor(DATASET, Damaged())


def test_a_price_is_the_house_times_the_level_of_its_market() -> None:
    """Each row has its own level, by one call of the model. The error of the level widens the interval."""
    calibration = Calibration(edges=[3.5], quantiles=[[2.0] * 50, [5.0] * 50], rows=1_000)
    made, day = predictor(calibration), date(2015, 5, 27)
    levels = [PriceLevel(day, 0.7, 0.01, 1, "2014-05"), PriceLevel(day, -0.1, 0.0, 0, "2014-05"), None]
    with_error, certain, without = made.predict([house(2.0)] * 3, levels)
    width = math.sqrt(0.2**2 + (1.2815515655446004 * 0.1) ** 2)
    assert with_error == pytest.approx(Prediction(math.exp(3.7), math.exp(3.7 - width), math.exp(3.7 + width)))
    assert certain == pytest.approx(Prediction(math.exp(2.9), math.exp(2.9 - 0.2), math.exp(2.9 + 0.2)))
    assert [without] == made.predict([house(2.0)])
    assert [each.value for each in predictor(None).predict([house(2.0)] * 3, levels)] == [
        math.exp(3.7), math.exp(2.9), math.exp(3)
    ]  # fmt: skip


def test_the_prices_of_a_smoke_check_are_at_the_models_level() -> None:
    """That of its training, or a later one."""
    booster = BedsModel()
    booster.market = LEARNT
    made = IntervalPredictor(DATASET, booster)
    assert made.prices([house(2.0)]) == [math.exp(3 + LEARNT.now.value)]
    assert made.at_market_level(0.5).prices([house(2.0)]) == [math.exp(3.5)]
    assert made.prices([house(2.0)]) == [math.exp(3 + LEARNT.now.value)]
