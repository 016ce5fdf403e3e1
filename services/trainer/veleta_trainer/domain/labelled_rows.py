"""The rows that a model learns from, or is measured on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from veleta.market import periods_of
from veleta.market_levels import MarketLevels


@dataclass(frozen=True)
class LabelledRows:
    """Features (rows x features) with the price, the property and the day of each row.

    Prices are in the target's unit, properties are hashes (see `property_hash`), and days are numbers (see
    `date.toordinal`). There are no days without a market.
    """

    frame: pd.DataFrame
    prices: np.ndarray
    properties: np.ndarray
    days: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.prices)

    def joined(self, other: "LabelledRows") -> "LabelledRows":
        """These rows, and then others. Both have days, or none has."""
        frame = pd.concat([self.frame, other.frame], ignore_index=True)
        for name, column in self.frame.items():
            if column.dtype == "category":  # those of both parts
                frame[name] = frame[name].astype("category")
        days = None if self.days is None or other.days is None else np.concatenate([self.days, other.days])
        prices, properties = (
            np.concatenate([own, others])
            for own, others in ((self.prices, other.prices), (self.properties, other.properties))
        )
        return LabelledRows(frame, prices, properties, days)

    def part(self, chosen: np.ndarray) -> "LabelledRows":
        """The rows of a mask."""
        days = None if self.days is None else self.days[chosen]
        return LabelledRows(self.frame[chosen], self.prices[chosen], self.properties[chosen], days)

    def at(self, levels: np.ndarray) -> "LabelledRows":
        """The same rows with prices from which a level (a logarithm) of each row is taken."""
        return LabelledRows(self.frame, self.prices / np.exp(levels), self.properties, self.days)

    def levels(self, market: MarketLevels | None) -> np.ndarray:
        """The level of the day of each row, as a market has it; without days that of now. 0 without a market."""
        if market is None or self.days is None:
            return np.full(len(self), market.now.value if market else 0.0)
        numbers, positions = np.unique(periods_of(self.days, market.every), return_inverse=True)
        found: np.ndarray = np.array([market.of_period(number).value for number in numbers.tolist()])[positions]
        return found
