"""The holdout of a training, with all prices at the level of the market after it: time-adjusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from veleta.market import periods_of
from veleta.market_levels import MarketLevels
from veleta.periods import period_name
from veleta_trainer.domain.evaluation import Predicted
from veleta_trainer.domain.labelled_rows import LabelledRows


@dataclass(frozen=True)
class Holdout:
    """The rows of the holdout, and the level of each one's day. Without a market the levels are 0."""

    rows: LabelledRows
    market: MarketLevels | None
    levels: np.ndarray

    @classmethod
    def of(cls, rows: LabelledRows, market: MarketLevels | None) -> Self:
        """That of a training which found this market."""
        return cls(rows, market, rows.levels(market))

    @cached_property
    def house(self) -> LabelledRows:
        """The rows with prices without the level, as the model of prices predicts them."""
        return self.rows.at(self.levels)

    @cached_property
    def prices(self) -> np.ndarray:
        """The true price of each row at the level of now."""
        return self.house.prices * self._factor

    @cached_property
    def latest(self) -> Mapping[str, np.ndarray]:
        """The rows of the latest period, as a mask, by a name for people. Empty without a market."""
        if self.market is None or self.rows.days is None:
            return {}
        periods, number = periods_of(self.rows.days, self.market.every), max(self.market.levels)
        found = periods >= number
        return {f"latest period ({period_name(number, self.market.every)})": found} if found.any() else {}

    def predicted(
        self, logarithms: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None
    ) -> Predicted:
        """Predicted logarithms of prices, and intervals of prices, without the level: at the level of now."""
        bounds = (None if each is None else each * self._factor for each in (low, high))
        return Predicted(np.exp(logarithms) * self._factor, *bounds)

    @property
    def _factor(self) -> float:
        return float(np.exp(self.market.now.value)) if self.market else 1.0
