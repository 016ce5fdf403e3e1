"""All policies side by side: each has a verdict on a batch, and the one of the dataset file decides."""

import hashlib
import json

from veleta.dataset import Dataset
from veleta.events.catalogue import PolicyVerdict, RiskState
from veleta_drift.domain import evidence, sequential, threshold_rule
from veleta_drift.domain.evidence import Judgement
from veleta_drift.domain.threshold_rule import Assessment


def verdicts(
    dataset: Dataset, seed: Assessment, judgement: Judgement, risk: RiskState | None
) -> dict[str, PolicyVerdict]:
    """The verdict of each policy on a batch, by its name. Without a `risk`, both have the reason of `judgement`."""
    found = {
        threshold_rule.POLICY: (seed.verdict, seed.reason),
        evidence.POLICY: (judgement.verdict, judgement.reason),
        sequential.POLICY: sequential.verdict(risk) if risk else ("not enough data", judgement.reason),
    }
    return {
        policy: PolicyVerdict(
            policy=policy,
            parameters=parameters_digest(dataset, policy),
            verdict=verdict,
            reason=reason,
            unweighted=judgement.unweighted if policy == evidence.POLICY else None,
        )
        for policy, (verdict, reason) in found.items()
    }


def parameters_digest(dataset: Dataset, policy: str) -> str:
    """The SHA-256 of everything in the dataset file, or in the code, that a policy decides by."""
    if policy == threshold_rule.POLICY:
        parameters: dict[str, object] = {"threshold": threshold_rule.THRESHOLD, "ignore": dataset.drift.ignore}
    else:
        slices = dataset.evaluation.slices
        parameters = {**dataset.drift.model_dump(exclude={"policy"}), "slices": slices}
    return hashlib.sha256(json.dumps({"policy": policy, **parameters}, sort_keys=True).encode()).hexdigest()
