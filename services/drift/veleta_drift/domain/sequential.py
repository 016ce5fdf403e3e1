"""The policy `sequential`: whether the champion's risk grew, by a test that is valid after any number of batches.

The probability of one false alarm in the life of a champion is at most `false_alarms`. The test is the one of MAPIE's
`RiskMonitoring` (Podkopaev and Ramdas 2022, Tracking the risk of a deployed model and detecting harmful distribution
shifts). MAPIE computes its bound from all rows again with each batch. Here the sums of the rows are stored, and the
bound is computed once for each batch, which is enough: it is valid at all times at once.
"""

import numpy as np
from mapie.exchangeability_testing.bounds import GammaExponentialMixtureBound, hoeffding_bound

from veleta.dataset import DriftRule
from veleta.events.catalogue import RiskState, Verdict

POLICY = "sequential"
FIRST_MEAN = 0.5
"""The mean that is assumed before the first loss."""


def losses(signed: np.ndarray) -> np.ndarray:
    """|prediction - price| / price of each row, at most 1. `signed` has log(price) - log(prediction)."""
    bounded = np.minimum(-signed, 1.0)  # a greater one would overflow
    return np.asarray(np.minimum(np.abs(np.expm1(bounded)), 1.0))


def first_state(version: int, holdout: np.ndarray, rule: DriftRule) -> RiskState:
    """The state of a champion without any batch. `holdout` has its losses there. There must be some.

    The threshold is the upper bound of its risk on the holdout, with a tolerance.
    """
    bound = float(hoeffding_bound(holdout, rule.false_alarms / 2))
    threshold = bound * (1 + rule.tolerance)
    return RiskState(version=version, threshold=threshold, rows=0, total=0.0, variation=0.0, lower=0.0)


def next_state(state: RiskState, new: np.ndarray, rule: DriftRule) -> RiskState:
    """The state after the losses of a batch, in their order."""
    if len(new) == 0:
        return state
    counts = state.rows + np.arange(1, len(new) + 1)
    totals = state.total + np.cumsum(new)
    first = state.total / state.rows if state.rows else FIRST_MEAN
    means_before = np.concatenate([[first], (totals / counts)[:-1]])
    variation = state.variation + float(((new - means_before) ** 2).sum())
    rows, total = int(counts[-1]), float(totals[-1])
    level = rule.false_alarms / 4  # half is for the threshold, and MAPIE's bound is two-sided
    bound = GammaExponentialMixtureBound(v_opt=1, c=1, alpha_opt=level)(v=variation, alpha=level)
    lower = max(state.lower, total / rows - bound / rows)
    return state.model_copy(update={"rows": rows, "total": total, "variation": variation, "lower": lower})


def verdict(state: RiskState) -> tuple[Verdict, str]:
    """The verdict after a batch, with its reason."""
    if not state.rows:
        return "not enough data", "no clean row"
    figures = f"the mean relative error is at least {state.lower:.1%} over {state.rows:,} rows"
    limit = f"limit {state.threshold:.1%}"
    if state.lower > state.threshold:
        return "drift", f"{figures} ({limit})"
    return "no drift", f"{figures} ({limit}): not proven larger than in its training"
