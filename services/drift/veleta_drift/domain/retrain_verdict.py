"""Whether a training helped: the champion against the version that it replaced, on rows that neither has learnt."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import stats

from veleta.events.catalogue import PairErrors, RetrainVerdict

MIN_ROWS = 30
"""With fewer rows there is no verdict yet."""
LEVEL = 0.05
"""The greatest probability of a difference by chance that counts as proven."""


@dataclass(frozen=True)
class Predictions:
    """What a version predicts for rows, with their true values, in the target's unit."""

    version: int
    values: np.ndarray
    truth: np.ndarray

    @property
    def mae(self) -> float:
        """The mean absolute error."""
        return float(np.abs(self.values - self.truth).mean())

    @property
    def signed(self) -> np.ndarray:
        """log(truth) - log(prediction) of each row."""
        return np.asarray(np.log(self.truth) - np.log(self.values))

    @property
    def bias(self) -> float:
        """The mean of `signed`."""
        return float(self.signed.mean())


@dataclass(frozen=True)
class Comparison:
    """The change of the mean absolute error, the probability of such a difference by chance, and the verdict."""

    change: float
    p_value: float
    verdict: RetrainVerdict


def added(pair: PairErrors, number: int, champion: Predictions, previous: Predictions, *, numbered: bool) -> PairErrors:
    """What is known of both versions after their predictions for the same rows of a batch.

    If batches are `numbered`, their numbers are kept. The moments are combined by the method of Chan, Golub and LeVeque
    (1983, Algorithms for computing the sample variance).
    """
    numbers = sorted({*pair.numbers, number}) if numbered else []
    seen = pair.model_copy(update={"batches": pair.batches + 1, "numbers": numbers})
    if not (new := len(champion.truth)):
        return seen
    differences = np.abs(champion.signed) - np.abs(previous.signed)
    rows, mean = pair.rows + new, float(differences.mean())
    step = mean - pair.difference
    deviation = float(((differences - mean) ** 2).sum()) + step**2 * pair.rows * new / rows
    return seen.model_copy(
        update={
            "rows": rows,
            "error": pair.error + champion.mae * new,
            "previous_error": pair.previous_error + previous.mae * new,
            "difference": pair.difference + step * new / rows,
            "deviation": pair.deviation + deviation,
        }
    )


def compared(pair: PairErrors, needed: Collection[int] = ()) -> Comparison | None:
    """Compare the absolute log errors of both versions by the paired t-test.

    None with too few rows, or as long as batches with the `needed` numbers are missing. A difference counts only if the
    mean absolute error changed in the same direction. Few high prices decide that one.
    """
    if pair.rows < MIN_ROWS or not set(needed) <= set(pair.numbers):
        return None
    change = pair.error / pair.previous_error - 1 if pair.previous_error else float(pair.error > 0)
    error = math.sqrt(pair.deviation / (pair.rows - 1) / pair.rows)
    p_value = _p_value(pair.difference, error, pair.rows - 1)
    if p_value > LEVEL or change * pair.difference <= 0:
        return Comparison(change, p_value, "no difference")
    return Comparison(change, p_value, "helped" if pair.difference < 0 else "harmed")


def _p_value(mean: float, error: float, freedom: int) -> float:
    """The probability of such a mean by chance, if the true one is 0."""
    if error == 0:
        return float(mean == 0)
    return float(2 * stats.t.sf(abs(mean) / error, freedom))
