"""Builds the payloads of the trainer's events."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from veleta.events import catalogue
from veleta.ports import DIGEST, NATIVE
from veleta_trainer.domain.training import PromotionRow, Training, TrainingRequest


def registered(
    training: Training,
    version: int,
    tags: Mapping[str, str],
    measures: Sequence[catalogue.Measures],
    profile: catalogue.Profile | None,
) -> catalogue.ModelRegistered:
    """A version with these tags was registered; includes the whole recipe, what was measured, and what was learnt."""
    return catalogue.ModelRegistered(
        model=training.recipe.dataset,
        version=version,
        run_id=training.run_id,
        recipe=training.recipe.model_dump(mode="json"),
        native=tags.get(NATIVE, ""),
        native_digest=tags.get(DIGEST),
        metrics=training.metrics,
        measures=list(measures),
        profile=profile,
    )


def decided(
    training: Training, promotion: PromotionRow, tags: Mapping[str, str]
) -> catalogue.ModelPromoted | catalogue.ModelRejected:
    """The version with these tags was promoted or rejected; includes the chain of causes."""
    request = training.request
    common: dict[str, Any] = {
        "model": training.recipe.dataset,
        "version": training.version,
        "run_id": training.run_id,
        "seq": promotion.seq,
        "reason": promotion.reason,
        "metrics": training.metrics,
        "gates": [catalogue.Gate(**asdict(gate)) for gate in promotion.gates],
        "causes": catalogue.Causes(
            training=f"{request.request_id}/started",
            request=request.request_id,
            report=request.report,
            reason=request.reason,
            batches=request.batches,
        ),
    }
    if promotion.decision == "promoted":
        native = {"native": tags.get(NATIVE, ""), "native_digest": tags.get(DIGEST)}
        return catalogue.ModelPromoted(previous=promotion.previous, profile=training.profile, **native, **common)
    return catalogue.ModelRejected(champion=promotion.previous or 0, **common)


def finished(training: Training, promotion: PromotionRow) -> catalogue.TrainingFinished:
    """The training ended with a version."""
    return catalogue.TrainingFinished(
        request_id=training.request.request_id,
        run_id=training.run_id,
        version=training.version,
        decision="promoted" if promotion.decision == "promoted" else "rejected",
        metrics=training.metrics,
    )


def requested(request: TrainingRequest, dataset: str) -> catalogue.RetrainRequested:
    """The payload that the request arrived with."""
    return catalogue.RetrainRequested.model_validate({"dataset": dataset, **asdict(request)})
