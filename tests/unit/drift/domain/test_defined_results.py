"""The results for values that a formula does not define: those of the table in docs/drift.md."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from support.repository import ROOT
from veleta.dataset import load_dataset
from veleta_drift.domain import sequential
from veleta_drift.domain.assessment import assess
from veleta_drift.domain.baseline import next_baseline
from veleta_drift.domain.evidence import Evidence, Judgement, judge
from veleta_drift.domain.inputs_arm import Presence
from veleta_drift.domain.samples import Errors, Inputs
from veleta_drift.domain.statistics import BatchSummary, ColumnValues

DATASET = load_dataset("real_estate")
ROWS = 200
TABLE = (ROOT / "docs/drift.md").read_text().partition("## Defined results")[2]
DOCUMENTED = {
    cells[0]: cells[1:] for line in re.findall(r"^\| (.*) \|$", TABLE, re.MULTILINE) for cells in [line.split(" | ")]
}
"""The verdicts of `seed`, `evidence` and `sequential` by case: each cell begins with one."""


@dataclass(frozen=True)
class Case:
    """The living spaces of two batches, NaN if there is none, and the errors of their clean rows."""

    sizes: tuple[np.ndarray, np.ndarray]
    errors: tuple[np.ndarray, np.ndarray]


def sizes(seed: int) -> np.ndarray:
    """Ordinary living spaces."""
    return np.random.default_rng(seed).lognormal(7, 0.5, ROWS)


def errors(seed: int) -> np.ndarray:
    """Ordinary errors."""
    return np.random.default_rng(seed).normal(0, 0.3, ROWS)


def some_missing() -> np.ndarray:
    """Living spaces of which each tenth is NaN."""
    values = sizes(1)
    values[::10] = np.nan
    return values


NONE, ZERO, TINY, HUGE = (np.full(ROWS, value) for value in (np.nan, 0.0, 5e-324, 1.7e308))
CASES = {
    "zero in all of the reference": Case((ZERO, sizes(1)), (ZERO, errors(1))),
    "5e-324 in all of the reference": Case((TINY, sizes(1)), (TINY, errors(1))),
    "the same constant": Case((np.full(ROWS, 0.1), np.full(ROWS, 0.1)), (np.full(ROWS, 0.1), np.full(ROWS, 0.1))),
    "NaN in a tenth of the rows": Case((sizes(1), some_missing()), (errors(1), errors(1)[: ROWS * 9 // 10])),
    "one row": Case((sizes(1), sizes(2)[:1]), (errors(1), errors(2)[:1])),
    "a column without a value": Case((sizes(1), NONE), (errors(1), np.empty(0))),
    "a new column": Case((NONE, sizes(1)), (errors(1), errors(1))),
    "1.7e308 in all of the batch": Case((sizes(1), HUGE), (errors(1), np.full(ROWS, 700.0))),
    "an identical batch": Case((sizes(1), sizes(1)), (errors(1), errors(1))),
}


def summary(values: np.ndarray) -> BatchSummary:
    """What drift knows of such a batch, which has the column `bed` too."""
    found, bedrooms = ColumnValues(DATASET), np.random.default_rng(9).integers(1, 6, ROWS)
    found.add([{"house_size": float(size), "bed": float(bed)} for size, bed in zip(values, bedrooms, strict=False)])
    return found.summary()


def evidence(values: np.ndarray, signed: np.ndarray) -> Evidence:
    """What the policy `evidence` knows of the clean rows."""
    numbers = {} if np.isnan(values).all() else {"house_size": values[np.isfinite(values)]}
    return Evidence(Inputs(numbers, {}), Errors(signed))


def judged(case: Case) -> Judgement:
    """The judgement of the policy `evidence`."""
    old, new = (evidence(*each) for each in zip(case.sizes, case.errors, strict=True))
    before, after = (summary(each) for each in case.sizes)
    return judge(DATASET, old, new, (Presence(before.rows, before.values), Presence(after.rows, after.values)))


@pytest.mark.failure("F451")
@pytest.mark.parametrize("name", CASES)
def test_the_result_is_the_documented_one(name: str) -> None:
    """For each policy, without a warning. An event refuses numbers that are not finite."""
    case = CASES[name]
    before, after = (summary(each) for each in case.sizes)
    seed = assess(DATASET, next_baseline(DATASET, None, 1, before), after).verdict
    found = judged(case)
    holdout, batch = (sequential.losses(each) for each in case.errors)
    state = sequential.first_state(1, holdout, DATASET.drift)
    risk = sequential.verdict(sequential.next_state(state, batch, DATASET.drift))[0]
    verdicts = [re.match("drift|no drift|not enough data", cell) for cell in DOCUMENTED[name]]
    assert [seed, found.verdict, risk] == [each and each[0] for each in verdicts]


def test_an_identical_batch_has_no_effect() -> None:
    """Each p-value is 1, or about 1."""
    found = judged(CASES["an identical batch"])
    assert {each.effect for each in found.tests if each.test != "extreme values"} == {0.0}
    assert all(each.p_value > 0.9 for each in found.tests if each.subject == "all rows" and each.test == "bias")
    assert not any(each.fires for each in found.tests)


def test_each_row_of_the_table_has_a_test() -> None:
    """And no other row is there."""
    rows = [name for name in DOCUMENTED if name not in ("the batch", "---")]
    assert rows == list(CASES)
