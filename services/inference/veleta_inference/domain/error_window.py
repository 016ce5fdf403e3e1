"""The expected error of the rows that a model predicted last: they have no true prices."""

from collections import deque
from collections.abc import Sequence
from statistics import fmean

from veleta.holdout_errors import MIN_ROWS, HoldoutErrors
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.interval_predictor import Prediction
from veleta_inference.domain.responses import Estimate

ROWS = 1_000
MAX_SHIFT = 0.05
"""If the share of rows outside what the model has learnt is higher than on its holdout by more, there is no estimate.

For such rows the model of errors expects about the errors of those that it knows, which are much smaller.
"""
UNMEASURED = "the errors of the version were not measured: an earlier release trained it, or its holdout was too small"


class ErrorWindow:
    """The last ROWS rows that one model predicted in this process: their expected errors, and which are outside.

    A row is outside if the model has not learnt one of its values, or if one is outside the dataset file's bounds.
    """

    def __init__(self, holdout: HoldoutErrors | None) -> None:
        """Without `holdout` there is never an estimate."""
        self._holdout = holdout
        self._errors: deque[float] = deque(maxlen=ROWS)
        self._outside: deque[bool] = deque(maxlen=ROWS)

    def add(self, predictions: Sequence[Prediction], unusual: Sequence[ValidationProblem]) -> None:
        """Add the rows of a request, with their `unusual` values."""
        outside = {problem.item for problem in unusual}
        self._errors.extend(each.expected_error for each in predictions if each.expected_error is not None)
        self._outside.extend(place in outside for place in range(len(predictions)))

    @property
    def outside(self) -> float | None:
        """The share of the rows that is outside. None with fewer than MIN_ROWS."""
        return fmean(self._outside) if len(self._outside) >= MIN_ROWS else None

    def estimate(self) -> Estimate:
        """The mean expected error with the shares of rows that are outside, or only the reason why there is none."""
        rows, outside, holdout = len(self._outside), self.outside, self._holdout
        if holdout is None:
            return {"reason": UNMEASURED}
        if outside is None:
            return {"reason": f"{rows} rows were predicted since the version was loaded, and {MIN_ROWS} are needed"}
        if outside - holdout.outside > MAX_SHIFT:
            here, there = (f"{100 * share:.1f} %" for share in (outside, holdout.outside))
            where = "are outside what the model has learnt: their errors cannot be estimated"
            return {"reason": f"{here} of the last {rows:,} rows, and {there} of the holdout, {where}"}
        return {
            "rows": rows,
            "expected_error": fmean(self._errors),
            "outside": outside,
            "outside_of_holdout": holdout.outside,
        }
