"""What the trainer has to say at each step, as payloads of events."""

from typing import Any

from veleta.events.catalogue import (
    Causes,
    ModelPromoted,
    ModelRegistered,
    ModelRejected,
    RetrainRequested,
    TrainingFinished,
)
from veleta_trainer.domain.training import Request, Training


def registered(training: Training, version: int, native: str) -> ModelRegistered:
    """A version exists, with its whole recipe."""
    return ModelRegistered(
        model=training.recipe.dataset,
        version=version,
        run_id=training.run_id,
        recipe=training.recipe.model_dump(mode="json"),
        native=native,
        metrics=training.metrics or {},
    )


def decided(training: Training, native: str) -> ModelPromoted | ModelRejected:
    """What became of the version, and the whole chain that led to it, in short."""
    request, champion = training.request, training.recipe.champion
    common: dict[str, Any] = {
        "model": training.recipe.dataset,
        "version": training.version,
        "run_id": training.run_id,
        "seq": training.seq,
        "reason": training.reason,
        "metrics": training.metrics or {},
        "causes": Causes(
            training=f"{request.request_id}/started",
            request=request.request_id,
            report=request.cause,
            reason=request.reason,
            batches=request.batches,
        ),
    }
    if training.decision == "promoted":
        return ModelPromoted(previous=champion, native=native, **common)
    return ModelRejected(champion=champion or 0, **common)


def finished(training: Training) -> TrainingFinished:
    """The training ended in a version."""
    return TrainingFinished(
        request_id=training.request.request_id,
        run_id=training.run_id,
        version=training.version,
        decision=training.decision or "rejected",
        metrics=training.metrics or {},
    )


def asked(request: Request, dataset: str) -> RetrainRequested:
    """The request as it was asked."""
    return RetrainRequested(
        dataset=dataset,
        epoch=request.epoch,
        number=request.number,
        reason=request.reason,
        first=request.first,
        batches=request.batches,
    )
