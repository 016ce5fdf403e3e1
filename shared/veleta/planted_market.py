"""The section [generator.time] of a dataset file: the dates of generated sales, and how their prices change by date.

Prices that follow a known path show how well the level of a market is found (`veleta.market`).
"""

import math
from datetime import date
from typing import Annotated, Self

from pydantic import Field, ValidationError

from veleta.dataset import Dataset, Period, Section
from veleta.periods import first_day, period_name, period_of

DAYS_PER_YEAR = 365.25
MIDSUMMER = 172
"""The day of the year with the highest prices of a season: June 21."""
MOST_GROWTH = 1.0
"""The growth ends when it has moved the logarithm of prices so far, so that a long run does not leave their bounds."""
Logarithm = Annotated[float, Field(ge=-1, le=1)]


class Jump(Section):
    """A change of all prices at once, from the day `on`. `level` is a natural logarithm: -0.15 lowers them by 14 %."""

    on: date
    level: Logarithm


class PlantedMarket(Section):
    """The whole section. Each batch has the sales of a month, and follows the batch before, also in the next epoch.

    The month of `start` is that of the first batch. An epoch has `months` batches, each of `rows` rows at scale 1.
    `monthly` is the growth of prices in a month, and `season` half of the difference between June and December. Both
    are natural logarithms: 0.01 is 1 %.
    """

    start: date
    months: int = Field(12, ge=1, le=120)
    rows: int = Field(ge=1, le=10_000_000)
    monthly: float = Field(0.0, ge=-0.2, le=0.2)
    season: float = Field(0.0, ge=-0.5, le=0.5)
    jumps: list[Jump] = Field(default_factory=list)

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Self | None:
        """That of a dataset's generator. None without a valid one: the source reports the faults."""
        try:
            return cls.model_validate(dataset.generator["time"])
        except (KeyError, ValidationError):
            return None

    def month(self, epoch: int, number: int) -> tuple[date, date]:
        """The first day of the sales of a batch, and the one after the last. Raises OverflowError after the year 9999.

        >>> PlantedMarket(start=date(2024, 11, 20), rows=1).month(epoch=2, number=1)
        (datetime.date(2025, 12, 1), datetime.date(2026, 1, 1))
        """
        month = period_of(self.start, "month") + (epoch - 1) * self.months + number
        try:
            return first_day(month, "month"), first_day(month + 1, "month")
        except ValueError as error:
            raise OverflowError(f"there is no month {month}") from error

    def level(self, day: date) -> float:
        """How far the prices of a day are above those of `start` without the season (logarithm)."""
        growth = self.monthly * (day - self.start).days * 12 / DAYS_PER_YEAR
        season = self.season * math.cos(2 * math.pi * (day.timetuple().tm_yday - MIDSUMMER) / DAYS_PER_YEAR)
        jumps = sum(jump.level for jump in self.jumps if jump.on <= day)
        return max(-MOST_GROWTH, min(growth, MOST_GROWTH)) + season + jumps

    def period_level(self, day: date, every: Period) -> float:
        """The mean level of the period that a day is in."""
        number = period_of(day, every)
        first, after = first_day(number, every).toordinal(), first_day(number + 1, every).toordinal()
        return sum(self.level(date.fromordinal(each)) for each in range(first, after)) / (after - first)

    def summary(self) -> str:
        """The path of the prices in a few words."""
        parts = [f"{self.monthly:+.1%} a month"] if self.monthly else []
        parts += [f"{self.season:.1%} higher in June than in the year"] if self.season else []
        parts += [f"{jump.level:+.1%} on {jump.on}" for jump in self.jumps]
        months = f"each batch has the sales of a month, from {period_name(period_of(self.start, 'month'), 'month')}"
        return f"{months}; prices change by {', '.join(parts)}" if parts else f"{months}; prices do not change"
