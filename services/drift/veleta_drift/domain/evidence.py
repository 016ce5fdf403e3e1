"""The policy `evidence`: a training only if the champion is wrong, or if the rows are others that it does not know.

At most the share `false_alarms` of the batches has a false alarm: half of it is for the errors, half for the inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veleta.dataset import Dataset
from veleta.drift_sentences import WHOLE, sentence
from veleta.events.catalogue import DriftTest, Verdict
from veleta_drift.domain.errors_arm import MIN_ROWS, error_tests
from veleta_drift.domain.inputs_arm import Presence, input_tests
from veleta_drift.domain.samples import Errors, Inputs, bounded

POLICY = "evidence"
MAX_NAMED = 3
"""How many tests a reason names. The others are counted."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a batch, or of what the champion learnt from. `errors` is None without a champion.

    `note` is a part of the reason, if these rows of the champion's training are not comparable with the batch.
    """

    inputs: Inputs
    errors: Errors | None = None
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """The verdict with its reason and the tests. `unweighted` is the verdict if all columns had the same weight."""

    verdict: Verdict
    reason: str
    tests: Sequence[DriftTest] = ()
    unweighted: Verdict | None = None


NO_CHAMPION = Judgement("not enough data", "there is no champion whose errors are known")


def judge(
    dataset: Dataset,
    reference: Evidence | None,
    batch: Evidence,
    presence: tuple[Presence, Presence] | None = None,
    importance: Mapping[str, float] | None = None,
) -> Judgement:
    """The verdict on a batch, compared with what the champion learnt from. `importance` has each column's share of it.

    "drift" means that a training is due.
    """
    rule = dataset.drift
    if reference is None or reference.errors is None or batch.errors is None:
        return NO_CHAMPION
    if min(len(batch.errors), len(reference.errors)) < MIN_ROWS:
        few = f"{len(batch.errors)} clean rows against {len(reference.errors)} of the champion's holdout"
        return Judgement("not enough data", f"{few}, and {MIN_ROWS} of each are needed")
    level = rule.false_alarms / 2
    errors = error_tests(reference.errors, batch.errors, rule, level)
    equal = input_tests(reference.inputs, batch.inputs, presence, rule, level)
    weighted = rule.weights == "importance" and importance is not None
    inputs = input_tests(reference.inputs, batch.inputs, presence, rule, level, importance) if weighted else equal
    verdict, reason = _verdict(dataset, errors, inputs, reference.errors, batch.errors)
    unweighted = _verdict(dataset, errors, equal, reference.errors, batch.errors)[0] if weighted else None
    if reference.note:
        reason = f"{reason} ({reference.note})"
    return Judgement(verdict, reason, [*errors, *inputs], unweighted)


def _verdict(
    dataset: Dataset, errors: Sequence[DriftTest], inputs: Sequence[DriftTest], before: Errors, after: Errors
) -> tuple[Verdict, str]:
    if wrong := [each for each in errors if each.fires]:
        return "drift", _sentences(dataset, wrong)
    if not (other := [each for each in inputs if each.fires]):
        return "no drift", "the champion's errors and the rows are as in its training"
    rows, rule = _sentences(dataset, other), dataset.drift
    growth = expected_growth(before, after)
    if growth is not None and growth >= rule.expected_growth:
        return "drift", f"{rows}; expected errors are {growth:.0%} larger (limit {rule.expected_growth:.0%})"
    unknown = after.unknown - before.unknown
    if unknown > rule.unknown:
        share = f"{after.unknown:.0%} of the rows have a value that the champion has not learnt"
        return "drift", f"{rows}; {share} ({before.unknown:.0%} of its holdout, limit +{rule.unknown:.0%})"
    expected = f", expected errors {growth:+.0%}" if growth is not None else ""
    return "no drift", f"other rows, which the champion knows: {rows}{expected}"


def expected_growth(before: Errors, after: Errors) -> float | None:
    """By which share the expected size of an error grew. None if the champion has no model of errors."""
    if not len(before.sizes) or not len(after.sizes) or not before.sizes.mean() > 0:
        return None
    return float(after.sizes.mean() / before.sizes.mean() - 1)


def _sentences(dataset: Dataset, tests: Sequence[DriftTest]) -> str:
    """The tests of all rows and then those with the largest effects, as a person says them."""
    ordered = sorted(tests, key=lambda each: (each.subject != WHOLE, -bounded(abs(each.effect), each.limit)))
    more = [f"and {len(ordered) - MAX_NAMED} more"] if len(ordered) > MAX_NAMED else []
    return ", ".join([*(sentence(dataset, each) for each in ordered[:MAX_NAMED]), *more])
