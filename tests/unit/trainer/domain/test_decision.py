"""The decision between champion and challenger, by policy."""

from dataclasses import replace

import pytest

from veleta.dataset import Policy
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.decision import Challenge, champion_changed, decide, gates_of_metrics
from veleta_trainer.domain.gates import mae_gate

ALL = ("example", "mae", "chance", "slices", "coverage")
POLICIES: tuple[Policy, ...] = ("champion_challenger", "seed", "manual")


def challenge(*failed: str, champion: int | None = 3) -> Challenge:
    """A challenge of version 4, whose gates are passed but these."""
    names = ALL if champion else ("example", "coverage")
    gates = [Check(name, f"figures of {name}", passed=name not in failed) for name in names]
    return Challenge(4, champion, gates, not_compared="", best=(4, 0.9))


def test_without_a_champion_the_version_is_promoted() -> None:
    """There is nothing to compare it with. A first model with wrong intervals is better than none."""
    for failed in ([], ["coverage"]):
        decision = decide("champion_challenger", challenge(*failed, champion=None))
        assert (decision.outcome, decision.reason) == ("promoted", "there is no champion")


@pytest.mark.failure("F46")
@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (["mae", "chance"], "not better: figures of mae"),
        (["chance", "coverage"], "not proven: figures of chance"),
        (["slices"], "worse in a slice: figures of slices"),
        (["coverage"], "wrong coverage: figures of coverage"),
    ],
)
def test_the_first_gate_that_fails_is_the_reason(failed: list[str], reason: str) -> None:
    """The champion stays."""
    decision = decide("champion_challenger", challenge(*failed))
    assert (decision.outcome, decision.reason) == ("rejected", reason)


def test_a_challenger_that_passes_all_gates_is_promoted() -> None:
    """The reason has the figures of the comparison."""
    decision = decide("champion_challenger", challenge())
    assert (decision.outcome, decision.reason) == ("promoted", "better: figures of mae")


@pytest.mark.failure("F422")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("champion", [None, 3])
def test_no_policy_promotes_a_version_that_fails_the_smoke_check(policy: Policy, champion: int | None) -> None:
    """Inference would refuse it."""
    decision = decide(policy, challenge("example", champion=champion))
    assert (decision.outcome, decision.reason) == ("rejected", "failed the smoke check: figures of example")


def test_the_policy_manual_waits_for_a_command() -> None:
    """Also for the first version, and for a better one."""
    for each in (challenge(), challenge(champion=None)):
        decision = decide("manual", each)
        assert decision.outcome == "rejected"
        assert decision.reason == "the policy is manual: it waits for `make promote VERSION=4`"


@pytest.mark.parametrize(("best", "outcome"), [((4, 0.9), "promoted"), ((2, 0.95), "rejected"), (None, "promoted")])
def test_the_policy_seed_promotes_the_highest_accuracy(best: tuple[int, float] | None, outcome: str) -> None:
    """Whatever the gates say. The reason names a better version."""
    decision = decide("seed", replace(challenge("mae", "chance", "slices", "coverage"), best=best))
    assert decision.outcome == outcome
    assert ("version 2 has the highest logged accuracy of all versions: 0.9500" in decision.reason) is (
        best == (2, 0.95)
    )


@pytest.mark.failure("F44")
def test_a_champion_that_cannot_be_compared_is_replaced() -> None:
    """The reason names it."""
    alone = replace(challenge(), gates=[Check("example", "fine", passed=True)])
    decision = decide("champion_challenger", alone)
    assert decision.outcome == "promoted"
    assert decision.reason == "version 3 cannot be evaluated: its model was deleted"
    refused = decide("champion_challenger", replace(alone, not_compared="no file"))
    assert refused.reason == "version 3 cannot be evaluated: no file"


def test_a_run_of_an_earlier_release_is_decided_by_its_mae() -> None:
    """It has no gates."""
    (gate,) = gates_of_metrics({"mae": 90.0, "champion_mae": 100.0, "holdout_rows": 12.0}, 3)
    assert gate == mae_gate(90.0, 100.0, 12, 3)
    assert gates_of_metrics({"mae": 90.0, "holdout_rows": 12.0}, 3) == []


@pytest.mark.parametrize(("champion", "text"), [(1, "compared with version 1,"), (None, "compared with no champion,")])
def test_a_comparison_with_a_former_champion_does_not_count(champion: int | None, text: str) -> None:
    """The reason names both champions."""
    decision = champion_changed(champion, 2)
    assert decision.outcome == "rejected"
    assert text in decision.reason
    assert "version 2 is the champion now" in decision.reason
