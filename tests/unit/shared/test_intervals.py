"""The calibration of prediction intervals."""

import numpy as np
import pytest

from veleta.intervals import BANDS, ERROR_MODEL, LEVELS, MIN_ROWS_FOR_BANDS, Calibration, error_model_file


@pytest.mark.parametrize(("rows", "level", "rank"), [(9, 0.8, 8), (9, 0.9, 9), (99, 0.8, 80), (100, 0.8, 81)])
def test_the_quantile_is_the_conformal_one(rows: int, level: float, rank: int) -> None:
    """The ceil((n + 1) level)-th smallest of n ratios."""
    ratios = [float(rank) for rank in range(rows, 0, -1)]
    assert Calibration.of_errors([12.0] * rows, ratios).factors(level) == [rank]


@pytest.mark.parametrize(("rows", "level"), [(3, 0.8), (8, 0.9), (98, 0.99), (0, 0.5)])
def test_too_few_rows_give_no_quantile(rows: int, level: float) -> None:
    """A finite one would promise more than the rows can show."""
    assert Calibration.of_errors([12.0] * rows, [1.0] * rows).factors(level) == [None]


def test_a_level_between_two_is_rounded_up() -> None:
    """So an interval is hardly too narrow. Beyond the levels the nearest one counts."""
    calibration = Calibration.of_errors([12.0] * 200, [float(i) for i in range(200)])
    assert calibration.factors(0.801) == calibration.factors(0.81) > calibration.factors(0.8)
    assert calibration.factors(0.1) == calibration.factors(LEVELS[0])
    assert calibration.factors(0.999) == calibration.factors(LEVELS[-1])


def test_each_band_of_the_prediction_has_its_own_quantile() -> None:
    """From a thousand rows on: cheap and expensive houses differ in how well their errors are known."""
    random = np.random.default_rng(0)
    logarithms = random.uniform(10, 15, MIN_ROWS_FOR_BANDS)
    ratios = np.floor(logarithms)
    calibration = Calibration.of_errors(logarithms.tolist(), ratios.tolist())
    assert len(calibration.edges) == BANDS - 1
    assert calibration.edges == sorted(calibration.edges)
    factors = [factor or 0.0 for factor in calibration.factors(0.8)]
    assert factors == sorted(factors)
    assert factors[0] < factors[-1]
    few = Calibration.of_errors(logarithms.tolist()[1:], ratios.tolist()[1:])
    assert (few.edges, len(few.quantiles)) == ([], 1)


def test_intervals_cover_what_they_promise() -> None:
    """Of new rows with errors like those of the calibration, in every fifth of the prediction."""
    random = np.random.default_rng(1)

    def rows(number: int) -> tuple[list[float], list[float]]:
        logarithms = random.uniform(11, 14, number)
        return logarithms.tolist(), (np.abs(random.standard_t(3, number)) * (logarithms - 10)).tolist()

    calibration = Calibration.of_errors(*rows(5_000))
    logarithms, ratios = rows(20_000)
    bands = np.searchsorted(calibration.edges, logarithms)
    factors = np.array(calibration.factors(0.8), dtype=float)
    inside = np.array(ratios) <= factors[bands]
    for band in range(BANDS):
        assert inside[bands == band].mean() == pytest.approx(0.8, abs=0.04)


def test_a_model_contains_its_calibration() -> None:
    """As text, beside the file of the model of errors. A model of an earlier version has none."""
    metadata: dict[str, str] = {}
    calibration = Calibration.of_errors([12.0] * 10, [float(i) for i in range(10)])
    assert Calibration.of_model(metadata) is None
    calibration.save(metadata, b"\x00\xff")
    assert Calibration.of_model(metadata) == calibration
    assert metadata[ERROR_MODEL].isascii()
    assert error_model_file(metadata) == b"\x00\xff"
