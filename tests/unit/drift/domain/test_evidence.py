"""The policy `evidence`."""

import numpy as np
import pytest

from veleta.dataset import Dataset, load_dataset
from veleta_drift.domain.evidence import Evidence, expected_growth, judge
from veleta_drift.domain.inputs_arm import Presence
from veleta_drift.domain.samples import Errors, Inputs

DATASET = load_dataset("real_estate")


def sample(
    rows: int, seed: int, *, shift: float = 0.0, factor: float = 1.0, sizes: float | None = 0.2, unknown: float = 0.0
) -> Evidence:
    """A batch: prices `shift` above expectation, houses `factor` as large, and the expected errors of the model."""
    rng = np.random.default_rng(seed)
    inputs = Inputs({"house_size": rng.lognormal(7, 0.5, rows) * factor}, {"state": rng.choice(["Ohio", "Utah"], rows)})
    expected = np.empty(0) if sizes is None else np.full(rows, sizes)
    return Evidence(inputs, Errors(rng.normal(shift, 0.3, rows), expected, {"state": inputs.texts["state"]}, unknown))


def test_equal_distributions_are_no_drift() -> None:
    """Nothing fires."""
    found = judge(DATASET, sample(1_000, 1), sample(1_000, 2))
    assert (found.verdict, found.reason) == ("no drift", "the champion's errors and the rows are as in its training")
    assert not any(each.fires for each in found.tests)
    assert found.unweighted is None


def test_a_wrong_champion_is_a_reason_for_a_training() -> None:
    """The reason has the tests of all rows, and those with the largest effects, in words."""
    found = judge(DATASET, sample(1_000, 1), sample(1_000, 2, shift=0.1))
    assert found.verdict == "drift"
    assert found.reason.startswith("Price is 9.4 % above what is expected (limit 2 %), Price of state = ")
    assert "% above what is expected (limit 2 %)" in found.reason
    lower = judge(DATASET, sample(1_000, 1), sample(1_000, 2, shift=-0.1))
    assert "% below what is expected (limit 2 %)" in lower.reason


def test_other_rows_are_reported() -> None:
    """A training is due only if the errors that the model expects grew, or if it has not learnt the values."""
    old = sample(1_000, 1)
    known = judge(DATASET, old, sample(1_000, 2, factor=2, sizes=0.21))
    assert known.verdict == "no drift"
    assert known.reason.startswith("other rows, which the champion knows: Living space is distributed otherwise (by 1.")
    assert known.reason.endswith("expected errors +5%")
    harder = judge(DATASET, old, sample(1_000, 2, factor=2, sizes=0.23))
    assert harder.verdict == "drift"
    assert harder.reason.endswith("; expected errors are 15% larger (limit 10%)")
    unknown = judge(DATASET, old, sample(1_000, 2, factor=2, unknown=0.06))
    assert unknown.verdict == "drift"
    share = "6% of the rows have a value that the champion has not learnt (0% of its holdout, limit +5%)"
    assert unknown.reason.endswith(share)


def test_expected_errors_alone_are_no_reason() -> None:
    """Nor are values that the model has not learnt, as long as the rows are not proven to be others."""
    assert judge(DATASET, sample(1_000, 1), sample(1_000, 2, sizes=0.3, unknown=0.2)).verdict == "no drift"


def test_missing_values_are_reported() -> None:
    """The rows as received are compared with those of the batch before."""
    presence = Presence(1_000, {"bed": 1_000}), Presence(1_000, {"bed": 800})
    found = judge(DATASET, sample(1_000, 1), sample(1_000, 2), presence)
    assert found.verdict == "no drift"
    assert "the share of rows without Bedrooms changed by 20 % (limit 5 %)" in found.reason


@pytest.mark.parametrize(("rows", "holdout"), [(99, 1_000), (1_000, 99), (0, 0)])
def test_below_100_rows_there_is_not_enough_data(rows: int, holdout: int) -> None:
    """Whatever they show."""
    found = judge(DATASET, sample(holdout, 1), sample(rows, 2, shift=3.0))
    reason = f"{rows} clean rows against {holdout} of the champion's holdout, and 100 of each are needed"
    assert (found.verdict, found.reason, found.tests) == ("not enough data", reason, ())


def test_without_a_champion_there_is_not_enough_data() -> None:
    """Or if it was trained by an earlier version, which stored no errors."""
    batch = sample(1_000, 2)
    for reference, new in ((None, batch), (Evidence(batch.inputs), batch), (batch, Evidence(batch.inputs))):
        found = judge(DATASET, reference, new)
        assert (found.verdict, found.reason) == ("not enough data", "there is no champion whose errors are known")


def weighted(dataset: Dataset) -> Dataset:
    """The dataset whose columns count by their importance."""
    rule = dataset.drift.model_copy(update={"weights": "importance"})
    return dataset.model_copy(update={"drift": rule})


def test_columns_count_by_their_importance_if_declared() -> None:
    """`unweighted` is the verdict without weights, so that saved trainings can be counted."""
    old, new = sample(1_000, 1), sample(1_000, 2, factor=2, sizes=0.3)
    found = judge(weighted(DATASET), old, new, importance={"state": 1.0})
    assert (found.verdict, found.unweighted) == ("no drift", "drift")
    assert judge(weighted(DATASET), old, new, importance={"house_size": 1.0}).verdict == "drift"
    assert judge(DATASET, old, new, importance={"state": 1.0}).verdict == "drift"


def test_a_reason_names_three_tests() -> None:
    """And counts the others. A limit may be 0."""
    rule = DATASET.drift.model_copy(update={"distance": 0.0})
    dataset = DATASET.model_copy(update={"drift": rule})
    names = ["bed", "bath", "acre_lot", "house_size"]
    rng = np.random.default_rng(1)
    old, new = (
        Evidence(Inputs({name: rng.lognormal(1, 0.5, 500) * factor for name in names}, {}), Errors(np.zeros(500)))
        for factor in (1, 3)
    )
    assert judge(dataset, old, new).reason.count("standard deviations") == 3
    assert "and " in judge(dataset, old, new).reason


def test_the_growth_of_expected_errors_needs_a_model_of_errors() -> None:
    """On both sides."""
    few = Errors(np.zeros(2))
    assert expected_growth(few, Errors(np.zeros(1), np.array([0.1]))) is None
    assert expected_growth(Errors(np.zeros(1), np.array([0.1])), Errors(np.zeros(1), np.array([0.2]))) == 1.0
