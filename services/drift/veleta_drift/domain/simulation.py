"""Counts what each policy decides on random batches, with and without a planted shift.

A draw is a reference and a sequence of batches, each a random part of the same rows. So without a shift each verdict
"drift" is a false alarm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import stats

from veleta.dataset import Dataset
from veleta_drift.domain import evidence, sequential, threshold_rule
from veleta_drift.domain.evidence import judge
from veleta_drift.domain.planted_shifts import Sample, Shift, plain
from veleta_drift.domain.sequential import first_state, losses, next_state
from veleta_drift.domain.statistics import statistics_of
from veleta_drift.domain.threshold_rule import compare

BATCHES = 10
"""How many batches a policy gets until it notices a shift."""


@dataclass(frozen=True)
class Decision:
    """Whether a training is due, and whether anything is reported at all."""

    drift: bool
    noticed: bool


class Policy(Protocol):
    """A policy that saw the reference, and sees one batch after the other."""

    def assess(self, batch: Sample) -> Decision:
        """The decision on the next batch."""


class Seed:
    """Compares each batch with the one before."""

    def __init__(self, dataset: Dataset, reference: Sample) -> None:
        self._dataset, self._before = dataset, statistics_of(reference.numbers)

    def assess(self, batch: Sample) -> Decision:
        """The decision on the next batch."""
        before, self._before = self._before, statistics_of(batch.numbers)
        drift = compare(self._dataset, before, self._before).verdict == "drift"
        return Decision(drift, drift)


class EvidencePolicy:
    """Compares each batch with the reference."""

    def __init__(self, dataset: Dataset, reference: Sample) -> None:
        self._dataset, self._reference = dataset, reference

    def assess(self, batch: Sample) -> Decision:
        """The decision on the next batch."""
        presence = self._reference.presence, batch.presence
        found = judge(self._dataset, self._reference.evidence, batch.evidence, presence)
        return Decision(found.verdict == "drift", any(each.fires for each in found.tests))


class Sequential:
    """Compares all batches together with the reference."""

    def __init__(self, dataset: Dataset, reference: Sample) -> None:
        self._rule = dataset.drift
        self._state = first_state(1, losses(reference.errors.signed), self._rule)

    def assess(self, batch: Sample) -> Decision:
        """The decision on the next batch."""
        self._state = next_state(self._state, losses(batch.errors.signed), self._rule)
        drift = sequential.verdict(self._state)[0] == "drift"
        return Decision(drift, drift)


POLICIES: Mapping[str, Callable[[Dataset, Sample], Policy]] = {
    threshold_rule.POLICY: Seed,
    evidence.POLICY: EvidencePolicy,
    sequential.POLICY: Sequential,
}


@dataclass(frozen=True)
class Outcome:
    """What a policy made of a sequence of batches: of the first one, and after how many it wanted a training."""

    first: Decision
    delay: int | None


def outcome(policy: Policy, batches: Callable[[int], Sample]) -> Outcome:
    """Show batches, which `batches` has by number from 0, until a training is due; at most BATCHES."""
    first = decision = policy.assess(batches(0))
    number = 1
    while not decision.drift and number < BATCHES:
        decision = policy.assess(batches(number))
        number += 1
    return Outcome(first, number if decision.drift else None)


def simulate(
    dataset: Dataset, rows: Sample, policy: str, shift: Shift, size: int, draws: int, seed: int
) -> list[Outcome]:
    """The outcome of each draw. All policies and shifts get the same references."""
    found = []
    for draw in range(draws):
        reference = plain(rows, size, np.random.default_rng([seed, size, draw]))

        def batch(number: int, draw: int = draw) -> Sample:
            return shift.draw(size, np.random.default_rng([seed, size, draw, number + 1]))

        found.append(outcome(POLICIES[policy](dataset, reference), batch))
    return found


def scores(outcomes: Sequence[Outcome], shift: Shift) -> dict[str, Any]:
    """The counts of a shift: draws, trainings at their first batch, and the mean number of batches until one."""
    draws, drift = len(outcomes), sum(each.first.drift for each in outcomes)
    interval = stats.binomtest(drift, draws).proportion_ci()
    delays = [each.delay for each in outcomes if each.delay is not None]
    return {
        "wrong": shift.wrong,
        "draws": draws,
        "drift": drift,
        "interval": [float(interval.low), float(interval.high)],
        "noticed": sum(each.first.noticed for each in outcomes),
        "within_10": len(delays),
        "delay": float(np.mean(delays)) if delays else None,
    }


def totals(found: Sequence[Mapping[str, Any]], alarms: int) -> dict[str, Any]:
    """The counts of several shifts together. `alarms` of the trainings were false alarms."""
    wrong = [each for each in found if each["wrong"]]
    helped = sum(each["drift"] for each in wrong)
    fired = sum(each["within_10"] for each in wrong)
    delay = sum(each["within_10"] * each["delay"] for each in wrong if each["within_10"])
    return {
        "batches": sum(each["draws"] for each in found),
        "retrains": sum(each["drift"] for each in found),
        "helped": helped,
        "false_alarms": alarms,
        "missed": sum(each["draws"] for each in wrong) - helped,
        "delay": delay / fired if fired else None,
    }
