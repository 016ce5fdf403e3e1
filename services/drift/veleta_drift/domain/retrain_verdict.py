"""Whether a training helped: the champion against the version that it replaced, on rows that neither has learnt."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from veleta.events.catalogue import RetrainVerdict

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


def compared(champion: Predictions, previous: Predictions) -> Comparison | None:
    """Compare the absolute log errors of both on the same rows, by the paired t-test. None with too few rows.

    A difference counts only if the mean absolute error changed in the same direction. Few high prices decide that one.
    """
    if len(champion.truth) < MIN_ROWS:
        return None
    before, after = np.abs(previous.signed), np.abs(champion.signed)
    change = champion.mae / previous.mae - 1 if previous.mae else float(champion.mae > 0)
    differences = after - before
    constant = np.ptp(differences) == 0
    p_value = float(differences[0] == 0 if constant else stats.ttest_rel(after, before).pvalue)
    if p_value > LEVEL or change * differences.mean() <= 0:
        return Comparison(change, p_value, "no difference")
    return Comparison(change, p_value, "helped" if differences.mean() < 0 else "harmed")
