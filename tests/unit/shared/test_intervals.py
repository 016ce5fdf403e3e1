"""The calibration of prediction intervals."""

from collections.abc import Sequence

import numpy as np
import pytest

from veleta.intervals import (
    BANDS,
    COVERAGE,
    ERROR_MODEL,
    LEVELS,
    MIN_ROWS_FOR_BANDS,
    AdjustedLevel,
    Calibration,
    error_model_file,
    next_level,
)


@pytest.mark.parametrize(("rows", "level", "rank"), [(9, 0.8, 8), (9, 0.9, 9), (99, 0.8, 80), (100, 0.8, 81)])
def test_the_quantile_is_the_conformal_one(rows: int, level: float, rank: int) -> None:
    """The ceil((n + 1) level)-th smallest of n ratios."""
    ratios = [float(rank) for rank in range(rows, 0, -1)]
    assert Calibration.of_errors([12.0] * rows, ratios).factors(level) == [rank]


@pytest.mark.parametrize(("rows", "level"), [(3, 0.8), (3, 0.9), (3, 0.6), (0, 0.5)])
def test_too_few_rows_give_no_quantile(rows: int, level: float) -> None:
    """A finite one would promise more than the rows can show."""
    assert Calibration.of_errors([12.0] * rows, [1.0] * rows).factors(level) == [None]


def test_a_level_above_what_the_rows_can_show_gives_the_highest_quantile() -> None:
    """So an adjusted level takes no interval away."""
    assert Calibration.of_errors([12.0] * 9, [float(rank) for rank in range(9)]).factors(0.99) == [8]


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


@pytest.mark.parametrize("rows", [30, 100, 400, 2_000])
def test_the_level_stays_while_the_errors_stay(rows: int) -> None:
    """Within its noise, and the mean coverage between 77 and 83 %."""
    coverages, levels = _follow(rows, [1.0] * 100)
    assert 0.77 <= np.mean(coverages) <= 0.83
    assert np.std(levels) < 0.03


@pytest.mark.parametrize(("rows", "batches"), [(2_000, 2), (400, 3), (100, 8)])
def test_the_coverage_returns_after_errors_have_grown(rows: int, batches: int) -> None:
    """By half: without an adjustment the intervals would contain 66 % from then on."""
    coverages = np.mean([_follow(rows, [1.0] * 10 + [1.5] * 30, seed)[0] for seed in range(20)], axis=0)
    assert coverages[10] == pytest.approx(0.66, abs=0.03)
    assert coverages[10 + batches :].min() >= 0.77
    assert coverages[10 + batches :].max() <= 0.83


def test_few_rows_hardly_move_the_level() -> None:
    """And no rows at all not. The level never leaves those of a calibration."""
    assert next_level(COVERAGE, 0.0, 5) == pytest.approx(COVERAGE, abs=0.02)
    assert next_level(COVERAGE, 0.0, 0) == COVERAGE
    assert (next_level(0.99, 0.0, 1_000), next_level(0.5, 1.0, 10**6)) == (LEVELS[-1], LEVELS[0])


def _follow(rows: int, scales: Sequence[float], seed: int = 0) -> tuple[list[float], list[float]]:
    """The coverage and the level of batches whose errors have these scales, from the level of the calibration on."""
    random = np.random.default_rng(seed)
    calibration = Calibration.of_errors([12.0] * 999, random.exponential(size=999).tolist())
    coverages, levels, level = [], [], COVERAGE
    for scale in scales:
        (factor,) = calibration.factors(level)
        coverage = float(np.mean(random.exponential(scale, rows) <= (factor or 0.0)))
        coverages.append(coverage)
        levels.append(level)
        level = next_level(level, coverage, rows)
    return coverages, levels


def test_a_tag_has_the_level_and_its_batch() -> None:
    """The later of two is the greater one. Any other text has none."""
    level = AdjustedLevel(1, 14, next_level(0.8, 0.66, 400))
    assert str(level) == "0.8933 after batch 1/14"
    assert AdjustedLevel.of_tag(str(level)) == level
    assert AdjustedLevel(2, 0, 0.5) > level > AdjustedLevel(1, 13, 0.9)
    assert AdjustedLevel.of_tag("") is None
    assert AdjustedLevel.of_tag("1.5 after batch 1/2") is None
