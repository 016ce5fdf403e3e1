"""Predicts prices with their intervals and expected errors."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import copy
from itertools import repeat
from typing import NamedTuple, Protocol, Self

from veleta.dataset import Dataset, Values
from veleta.errors import Reject, one_line
from veleta.features import Feature
from veleta.holdout_errors import HoldoutErrors
from veleta.intervals import COVERAGE, DEVIATIONS, Calibration
from veleta.predictor import Booster, Predictor, not_a_price
from veleta_inference.domain.served_market import PriceLevel

WITHOUT_MARKET: Iterable[PriceLevel | None] = repeat(None)


class IntervalBooster(Booster, Protocol):
    """A model of prices with a model of the sizes of its errors."""

    def predict_with_sizes(self, data: Sequence[Sequence[Feature]]) -> tuple[Iterable[float], Iterable[float]]:
        """As `predict`, and the logarithm of the expected size of each prediction's error."""


class Prediction(NamedTuple):
    """A price with its interval, in the target's unit: None if the model has no valid one.

    `expected_error` is that of the price's logarithm, without its sign: see `HoldoutErrors`. None if nothing is known.
    """

    value: float
    low: float | None = None
    high: float | None = None
    expected_error: float | None = None

    @property
    def coverage(self) -> float | None:
        """The share of prices that intervals shall contain. None without an interval."""
        return None if self.low is None else COVERAGE


class IntervalPredictor(Predictor):
    """Predicts prices, with intervals if the model was calibrated."""

    def __init__(self, dataset: Dataset, booster: IntervalBooster, trained_with: str | None = None) -> None:
        """As `Predictor`. Raises Reject: what the model's file says of its errors cannot be read."""
        super().__init__(dataset, booster, trained_with)
        self._interval_booster = booster
        try:
            calibration = Calibration.of_model(booster.get_metadata())
            errors = HoldoutErrors.of_model(booster.get_metadata())
        except ValueError as error:
            raise Reject("what the model's file says of its errors cannot be read", one_line(error)) from error
        self.holdout_errors = errors if calibration else None
        """What the holdout shows about the expected errors. None: it shows nothing."""
        self._calibration = calibration
        self._edges = calibration.edges if calibration else []
        self._factors = calibration.factors(COVERAGE) if calibration else None

    def at_level(self, level: float) -> Self:
        """The same model with intervals at another level: see `veleta.intervals.next_level`."""
        adjusted = copy(self)
        adjusted._factors = self._calibration.factors(level) if self._calibration else None
        return adjusted

    def at_market_level(self, value: float) -> Self:
        """The same model, whose `prices` are at another level of the market, a logarithm."""
        moved = copy(self)
        moved.offset = value
        return moved

    @property
    def has_intervals(self) -> bool:
        """Whether every prediction has an interval."""
        return self._factors is not None and None not in self._factors

    def predict(self, rows: Sequence[Values], levels: Iterable[PriceLevel | None] = WITHOUT_MARKET) -> list[Prediction]:
        """The price of each row with its interval, by one call of the model. The target is ignored.

        `levels` has the level of the market for each row. It adds its own error to that of the model: they are
        independent.

        Raises:
            Reject: one of the predictions is not finite.
        """
        if self._factors is None:
            return [Prediction(price) for price in self.prices(rows, self._offsets(levels))]
        logarithms, sizes = self._interval_booster.predict_with_sizes(self.features(rows))
        try:
            predictions = [
                self._prediction(logarithm, size, self._factors, level)
                for logarithm, size, level in zip(logarithms, sizes, levels)  # noqa: B905 - WITHOUT_MARKET has no end
            ]
        except OverflowError:
            raise not_a_price() from None
        if not all(math.isfinite(each.high or each.value) for each in predictions):
            raise not_a_price()
        return predictions

    def _offsets(self, levels: Iterable[PriceLevel | None]) -> Iterable[float]:
        return (each.value if each else self.offset for each in levels)

    def _prediction(
        self, logarithm: float, size: float, factors: Sequence[float | None], level: PriceLevel | None
    ) -> Prediction:
        size, factor = math.exp(size), factors[bisect_left(self._edges, logarithm)]
        logarithm += level.value if level else self.offset
        price = math.exp(logarithm)
        expected = self.holdout_errors.expected(size) if self.holdout_errors else None
        if factor is None:
            return Prediction(price, expected_error=expected)
        width = factor * size
        if level:
            width = math.hypot(width, DEVIATIONS * math.sqrt(level.variance))
        return Prediction(price, math.exp(logarithm - width), math.exp(logarithm + width), expected)
