"""Whether a training helped: the champion against the version that it replaced, on rows that neither has learnt."""

import math
from dataclasses import dataclass, replace

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

    def without_bias(self) -> "Predictions":
        """The predictions with the level of these rows, whose bias is 0."""
        return replace(self, values=self.values * np.exp(self.bias)) if len(self.values) else self


@dataclass(frozen=True)
class Comparison:
    """The change of the mean absolute error, the probability of such a difference by chance, and the verdict."""

    change: float
    p_value: float
    verdict: RetrainVerdict


def added(
    pair: PairErrors, number: int, size: int, champion: Predictions, previous: Predictions, round_of: int
) -> PairErrors:
    """The errors with those on a batch of `size` rows as received, of which both versions have predicted a sample.

    With a `round_of` batches, one of each of their numbers is needed for a verdict. A number that comes again shows
    that no other one follows. Enough rows for a verdict stay as they are.
    """
    complete = pair.complete or number in pair.numbers
    if complete and pair.rows >= MIN_ROWS:
        return pair.model_copy(update={"complete": True})
    numbers = sorted({*pair.numbers, number}) if round_of else []
    seen = pair.model_copy(update={"numbers": numbers, "complete": complete or len(numbers) >= round_of})
    if (rows := len(champion.truth)) < 2:  # noqa: PLR2004 - one row has no variance
        return seen
    differences = np.abs(champion.signed) - np.abs(previous.signed)
    return seen.model_copy(
        update={
            "batches": pair.batches + 1,
            "rows": pair.rows + rows,
            "weight": pair.weight + size,
            "error": pair.error + size * champion.mae,
            "previous_error": pair.previous_error + size * previous.mae,
            "difference": pair.difference + size * float(differences.mean()),
            "variance": pair.variance + size**2 * _variance(differences) / rows,
        }
    )


def compared(pair: PairErrors) -> Comparison | None:
    """Compare the absolute log errors of both versions by the paired t-test, stratified by batch.

    None as long as rows or batches are missing. A difference counts only if the mean absolute error changed in the same
    direction. Few high prices decide that one.
    """
    if pair.rows < MIN_ROWS or not pair.complete:
        return None
    change = pair.error / pair.previous_error - 1 if pair.previous_error else float(pair.error > 0)
    p_value = _p_value(pair.difference, math.sqrt(pair.variance), pair.rows - pair.batches)
    if p_value > LEVEL or change * pair.difference <= 0:
        return Comparison(change, p_value, "no difference")
    return Comparison(change, p_value, "helped" if pair.difference < 0 else "harmed")


def _variance(values: np.ndarray) -> float:
    """That of a sample. That of equal values has no rounding errors."""
    return float(values.var(ddof=1)) if np.ptp(values) else 0.0


def _p_value(mean: float, error: float, freedom: int) -> float:
    """The probability of such a mean by chance, if the true one is 0."""
    if error == 0:
        return float(mean == 0)
    return float(2 * stats.t.sf(abs(mean) / error, freedom))
