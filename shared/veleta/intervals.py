"""Prediction intervals: how far the price of a row may be from its prediction.

Split conformal prediction with errors relative to their expected size (Lei et al. 2018, Distribution-free predictive
inference for regression, section 5.2), calibrated within bands of the predicted price. The model's file contains the
calibration and a second model, which predicts the size of an error.
"""

import base64
import math
import re
from bisect import bisect_left
from collections.abc import Mapping, MutableMapping, Sequence
from statistics import NormalDist
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict

CALIBRATION, ERROR_MODEL = "interval_calibration", "error_model"
"""Keys in the metadata of the CatBoost model. Models of earlier versions, or with too few rows, have neither."""
COVERAGE = 0.8
"""The share of prices that intervals shall contain."""
DEVIATIONS = NormalDist().inv_cdf((1 + COVERAGE) / 2)
"""Half the width of an interval with this share of a normal distribution, in standard deviations."""
LEVELS = tuple(percent / 100 for percent in range(50, 100))
"""The levels whose quantiles a model knows."""
HALF_STEP_ROWS = 200
"""With so many measured rows, the level moves by half of the difference that they show."""
BANDS = 5
MIN_ROWS_FOR_BANDS = 1_000
"""With fewer rows for the calibration, all prices are one band."""
MIN_SIZE = 0.02
"""Added to an error before its logarithm is learnt, so that an error of 0 has one."""


class Calibration(BaseModel):
    """The quantiles of |error of the logarithm| / expected size, by band of the predicted logarithm of the price.

    `edges` are the logarithms between the bands, in ascending order. `quantiles` has those at LEVELS for each band, as
    far as its rows suffice: None for a level that needs more.
    """

    model_config = ConfigDict(frozen=True)
    edges: list[float]
    quantiles: list[list[float | None]]
    rows: int

    @classmethod
    def of_errors(cls, logarithms: Sequence[float], ratios: Sequence[float]) -> Self:
        """That of rows that no model was fitted on: predicted logarithms, and the ratio of each error to its size."""
        ordered, rows = sorted(logarithms), len(logarithms)
        bands = BANDS if rows >= MIN_ROWS_FOR_BANDS else 1
        edges = [ordered[rows * band // bands] for band in range(1, bands)]
        by_band: list[list[float]] = [[] for _ in range(bands)]
        for logarithm, ratio in zip(logarithms, ratios, strict=True):
            by_band[bisect_left(edges, logarithm)].append(ratio)
        return cls(edges=edges, quantiles=[_quantiles(sorted(band)) for band in by_band], rows=rows)

    @classmethod
    def of_model(cls, metadata: Mapping[str, str]) -> Self | None:
        """That in a model's metadata, if it has one. Raises ValueError if it cannot be read."""
        text = metadata.get(CALIBRATION)
        return cls.model_validate_json(text) if text else None

    def save(self, metadata: MutableMapping[str, str], error_model: bytes) -> None:
        """Add it and the file of the model of error sizes to a model's metadata."""
        metadata[CALIBRATION] = self.model_dump_json()
        metadata[ERROR_MODEL] = base64.b64encode(error_model).decode()

    def factors(self, level: float) -> list[float | None]:
        """For each band, the quantile at a level, which is rounded up to one of LEVELS.

        A band with too few rows for this level has its highest quantile. One with too few rows for COVERAGE has None.
        """
        end = _position(level) + 1
        return [
            None if band[_position(COVERAGE)] is None else max(each for each in band[:end] if each is not None)
            for band in self.quantiles
        ]


class AdjustedLevel(NamedTuple):
    """The level of a version's intervals after a batch. The greater of two is the later one."""

    epoch: int
    number: int
    level: float

    def __str__(self) -> str:
        """As the tag of a version has it."""
        return f"{self.level} after batch {self.epoch}/{self.number}"

    @classmethod
    def of_tag(cls, text: str) -> Self | None:
        """The level in the tag of a version. None if there is none."""
        found = re.fullmatch(r"(0\.\d+) after batch (\d+)/(\d+)", text)
        return cls(int(found[2]), int(found[3]), float(found[1])) if found else None


def next_level(level: float, coverage: float, rows: int) -> float:
    """The level after a batch in which intervals at `level` contained the share `coverage` of so many prices.

    Adaptive conformal inference (Gibbs and Candès 2021, Adaptive conformal inference under distribution shift, equation
    2). The step grows with the rows, because a share of few rows is mostly chance: decision 55.

    >>> next_level(0.8, 0.7, 200)
    0.85
    """
    step = rows / (rows + HALF_STEP_ROWS)
    return round(min(max(level + step * (COVERAGE - coverage), LEVELS[0]), LEVELS[-1]), 4)


def error_model_file(metadata: Mapping[str, str]) -> bytes:
    """The file of the model of error sizes in a model's metadata."""
    return base64.b64decode(metadata[ERROR_MODEL])


def _position(level: float) -> int:
    return min(bisect_left(LEVELS, level - 1e-9), len(LEVELS) - 1)


def _quantiles(ordered: Sequence[float]) -> list[float | None]:
    """The ceil((n + 1) level)-th smallest of n values for each of LEVELS, if there is one."""
    ranks = [math.ceil((len(ordered) + 1) * level - 1e-9) for level in LEVELS]
    return [ordered[rank - 1] if rank <= len(ordered) else None for rank in ranks]
