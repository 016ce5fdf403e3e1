"""The sequential test of the champion's risk."""

from itertools import accumulate

import numpy as np
import pytest
from mapie.exchangeability_testing import RiskMonitoring
from mapie.exchangeability_testing.bounds import conjugate_mixture_empirical_bernstein_bound
from mapie.risk_control.risks import BinaryRisk

from veleta.dataset import DriftRule
from veleta.events.catalogue import RiskState
from veleta_drift.domain.sequential import first_state, losses, next_state, verdict

RULE = DriftRule()


def states(batches: list[np.ndarray], holdout: np.ndarray) -> list[RiskState]:
    """The states after each of these batches of losses."""
    return list(
        accumulate(batches, lambda state, new: next_state(state, new, RULE), initial=first_state(3, holdout, RULE))
    )


def draw(rng: np.random.Generator, rows: int, scale: float = 0.25) -> np.ndarray:
    """Losses of a model whose logarithms are wrong by this much."""
    return losses(rng.normal(0, scale, rows))


def test_a_loss_is_the_relative_error() -> None:
    """At most 1, also for errors whose exponential has no float."""
    assert losses(np.log([110 / 100, 80 / 100])) == pytest.approx([10 / 110, 20 / 80])
    assert losses(np.array([-1_000.0, -0.7, 1_000.0])).tolist() == [1.0, 1.0, 1.0]


def test_the_bounds_are_those_of_mapie() -> None:
    """After each batch, from sums alone. The highest bound so far stays."""
    rng = np.random.default_rng(1)
    sizes = [1, 40, 100, 59]
    values = np.concatenate([draw(rng, 100, 0.1), draw(rng, 100, 0.6)])
    batches = np.split(values, np.cumsum(sizes)[:-1])
    expected = conjugate_mixture_empirical_bernstein_bound(
        values, v_opt=1, alpha=RULE.false_alarms / 2, bound_side="lower", running_intersection=False
    )[np.cumsum(sizes) - 1]
    found = states(batches, draw(rng, 100))[1:]
    assert [each.lower for each in found] == pytest.approx(np.maximum.accumulate(expected).tolist(), abs=1e-9)
    assert [each.rows for each in found] == np.cumsum(sizes).tolist()
    whole = states([values], values)[1]
    assert whole.lower == pytest.approx(expected[-1], abs=1e-9)


@pytest.mark.parametrize(("shift", "alarm"), [(0.0, False), (0.4, True)])
def test_the_decision_is_that_of_mapies_monitor(shift: float, alarm: bool) -> None:
    """With losses of 0 and 1, the only ones that its monitor has."""
    rng = np.random.default_rng(2)
    wrong, batch = (rng.random(rows) < share for rows, share in ((400, 0.2), (200, 0.2 + shift)))
    risk = BinaryRisk(lambda _truth, guess: guess == 1, lambda truth, _guess: truth == 0, higher_is_better=False)
    monitor = RiskMonitoring(
        risk, RULE.false_alarms, RULE.tolerance, "relative", reference_data=(np.zeros(400), wrong), warn=False
    ).update(np.zeros(200), batch)
    first, second = states([batch.astype(float)], wrong.astype(float))
    assert first.threshold == pytest.approx(monitor.threshold, rel=1e-12)
    assert monitor.harmful_shift_detected is alarm
    assert verdict(second)[0] == ("drift" if alarm else "no drift")


def test_few_lives_have_a_false_alarm() -> None:
    """At most 5 % of 300 lives with 30 batches each, whose holdout and batches have one distribution."""
    rng = np.random.default_rng(3)
    lives = [states([draw(rng, 50) for _ in range(30)], draw(rng, 200)) for _ in range(300)]
    alarms = sum(any(verdict(state)[0] == "drift" for state in life) for life in lives)
    assert alarms <= 0.05 * len(lives)


def test_a_risk_that_grows_is_noticed_and_stays() -> None:
    """Errors that are twice as large: after some batches. A better batch afterwards changes nothing."""
    rng = np.random.default_rng(4)
    found = states([draw(rng, 500, 0.5) for _ in range(4)] + [draw(rng, 100, 0.01)], draw(rng, 1_000))
    verdicts = [verdict(state)[0] for state in found]
    assert verdicts[-2:] == ["drift", "drift"]
    assert verdict(found[-1])[1].startswith("the mean relative error is at least ")


def test_without_losses_there_is_not_enough_data() -> None:
    """A batch without a clean row changes nothing."""
    state = first_state(1, np.array([0.1, 0.2]), RULE)
    assert next_state(state, np.array([]), RULE) == state
    assert verdict(state) == ("not enough data", "no clean row")
