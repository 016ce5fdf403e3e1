"""The counts of a backtest."""

import numpy as np
import pytest

from support.listings import api_rows
from veleta.dataset import load_dataset
from veleta_drift.domain.planted_shifts import NOTHING, Sample, Shift, plain, shifts
from veleta_drift.domain.simulation import BATCHES, POLICIES, Decision, Outcome, outcome, scores, simulate, totals

DATASET = load_dataset("real_estate")


@pytest.fixture(scope="module")
def rows() -> Sample:
    """Complete rows whose errors are about 10 %."""
    values = [DATASET.convert(row)[0] for row in api_rows(0, 500, 3)]
    return Sample.of_rows(DATASET, values, np.random.default_rng(1).normal(0, 0.1, 500), np.full(500, 0.1))


class FiresAt:
    """A policy that wants a training at a batch, and reports each one."""

    def __init__(self, number: int) -> None:
        self._left = number

    def assess(self, batch: Sample) -> Decision:
        """Whether it is the one."""
        self._left -= 1
        return Decision(self._left == 0, noticed=True)


@pytest.mark.parametrize(("number", "delay"), [(1, 1), (3, 3), (BATCHES, BATCHES), (BATCHES + 1, None)])
def test_a_policy_gets_ten_batches(rows: Sample, number: int, delay: int | None) -> None:
    """No more after its first training."""
    seen = list[int]()

    def batch(position: int) -> Sample:
        seen.append(position)
        return rows

    assert outcome(FiresAt(number), batch) == Outcome(Decision(number == 1, noticed=True), delay)
    assert seen == list(range(min(number, BATCHES)))


def test_the_counts_of_a_shift() -> None:
    """Trainings at the first batch, with their interval; and the delay of those within ten batches."""
    at_once, later, never = (
        Outcome(Decision(True, True), 1),
        Outcome(Decision(False, True), 4),
        Outcome(Decision(False, False), None),
    )
    found = scores(
        [at_once, later, never, never], Shift("x", lambda _size, _rng: pytest.fail("no batch is drawn"), wrong=True)
    )
    low, high = found.pop("interval")
    assert found == {"wrong": True, "draws": 4, "drift": 1, "noticed": 2, "within_10": 2, "delay": 2.5}
    assert low < 0.25 < high
    assert low == pytest.approx(1 - 0.975 ** (1 / 4))  # the exact interval of 1 in 4


def test_the_counts_of_a_policy() -> None:
    """A training helped if the model was wrong. The delay is the mean over all trainings of such shifts."""
    one = {"wrong": True, "draws": 4, "drift": 1, "within_10": 3, "delay": 2.0}
    two = {"wrong": True, "draws": 4, "drift": 4, "within_10": 1, "delay": 6.0}
    other = {"wrong": False, "draws": 4, "drift": 2, "within_10": 4, "delay": 9.0}
    assert totals([one, two, other], 2) == {
        "batches": 12,
        "retrains": 7,
        "helped": 5,
        "false_alarms": 2,
        "missed": 3,
        "delay": 3.0,
    }
    assert totals([{**one, "within_10": 0, "delay": None}], 0)["delay"] is None


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_notices_higher_prices(rows: Sample, name: str) -> None:
    """Half as high again: at the latest after ten batches."""
    higher = Shift("x", lambda size, rng: plain(rows, size, rng).raised("price", np.full(size, 1.5)), wrong=True)
    found = simulate(DATASET, rows, name, higher, 200, 3, 0)
    assert all(each.delay is not None for each in found)


def test_identical_draws_have_no_false_alarm(rows: Sample) -> None:
    """A batch of all rows has the rows of the reference."""
    nothing = next(each for each in shifts(DATASET, rows) if each.name == NOTHING)
    for name in POLICIES:
        assert simulate(DATASET, rows, name, nothing, 500, 1, 0) == [Outcome(Decision(False, False), None)]
