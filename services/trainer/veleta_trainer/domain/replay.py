"""Computes the trainer's tables from its topics: for a database that was wiped, or restored from an old copy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from veleta.events import catalogue
from veleta.events.envelope import Event
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.manual_promotion import OUTSIDE, event_id
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import (
    PromotionRow,
    State,
    TrainingRequest,
    TrainingRow,
    profile_column,
    progress,
    waiting_row,
)

MAX_SEQ_STEP = 1_000
"""By how much a sequence number may be greater than the last. Decisions without an event leave gaps."""


@dataclass
class ReplayedState:
    """What has changed: rows of PIPELINE.trainings by request, of promotions by sequence number, and evaluations."""

    trainings: dict[str, TrainingRow] = field(default_factory=dict)
    seq: int | None = None
    """The last sequence number. None if there is no decision."""
    promotions: dict[int, PromotionRow] = field(default_factory=dict)
    evaluations: dict[int, list[catalogue.Measures]] = field(default_factory=dict)
    """What was measured of each version."""

    @classmethod
    def of(cls, states: Mapping[str, State], seq: int | None) -> Self:
        """The stored rows, with their states only. `seq` is the last stored sequence number."""
        return cls({name: {"request_id": name, "state": state} for name, state in states.items()}, seq)

    def apply(self, event: Event) -> None:
        """Apply the next event. Those of `retrain` come first, then those of `training`, then those of `models`.

        Raises ValueError if the event contradicts the state, or if its recipe is none.
        """
        at = event.time
        match event.payload:
            case catalogue.RetrainRequested() as payload:
                self.trainings.setdefault(event.id, waiting_row(request_of(event, payload), at))
            case catalogue.TrainingStarted(request_id=name, recipe=recipe):
                Recipe.model_validate(recipe)
                self._update(name, {"state": "planned", "recipe": recipe, "started_at": at})
            case catalogue.TrainingFinished(request_id=name) as payload:
                self._update(name, {"state": "finished", **_result(payload), "ended_at": at})
            case catalogue.TrainingMerged(request_id=name, into=into):
                self._update(name, {"state": "merged", "merged_into": into, "ended_at": at})
            case catalogue.TrainingSkipped(request_id=name):
                self._update(name, {"state": "skipped", "ended_at": at})
            case catalogue.TrainingFailed(request_id=name, reason=reason):
                self._update(name, {"state": "failed", "failure": reason, "ended_at": at})
            case catalogue.ModelRegistered() as payload:
                name = Recipe.model_validate(payload.recipe).request_id
                if row := self.trainings.get(name):
                    row["recipe"] = payload.recipe  # that of training.started may have batches that were unreadable
                    row.update(profile_column(payload))
                self._update(name, {"state": "registered", **_result(payload)})
                self.evaluations[payload.version] = payload.measures
            case catalogue.ModelPromoted() | catalogue.ModelRejected() as payload:
                self._decide(event, payload)

    def _update(self, request_id: str, update: TrainingRow) -> None:
        """Update the row of a request. Its state never goes back."""
        row = self.trainings.get(request_id)
        if row is not None and progress(update["state"]) >= progress(row["state"]):
            row.update(update)

    def _decide(self, event: Event, payload: catalogue.ModelPromoted | catalogue.ModelRejected) -> None:
        if self.seq is not None and payload.seq > self.seq + MAX_SEQ_STEP:
            raise ValueError(f"the sequence number {payload.seq} does not follow {self.seq}")
        self.seq = max(self.seq or 0, payload.seq)
        row = self.promotions[payload.seq] = _decision(event, payload)
        if row.cause == payload.causes.request:
            self._update(payload.causes.request, {"state": "decided"})


def _decision(event: Event, payload: catalogue.ModelPromoted | catalogue.ModelRejected) -> PromotionRow:
    """The decision that an event reports: of a training, of a person by a command, or of one who moved an alias."""
    promoted = isinstance(payload, catalogue.ModelPromoted)
    row = PromotionRow(
        seq=payload.seq,
        version=payload.version,
        previous=(payload.previous if isinstance(payload, catalogue.ModelPromoted) else payload.champion) or None,
        decision="promoted" if promoted else "rejected",
        reason=payload.reason,
        actor=event.source,
        cause=payload.causes.request,
        decided_at=event.time,
        gates=tuple(Check(**gate.model_dump()) for gate in payload.gates),
    )
    if event.id == event_id(payload.model, payload.seq):
        return replace(row, decision=OUTSIDE, actor=OUTSIDE, cause=None)
    if isinstance(payload, catalogue.ModelPromoted) and payload.command:
        if len(event.cause or "") > catalogue.MAX_ID_LENGTH:
            raise ValueError("the id of the command is too long")
        decision: Literal["rolled back", "promoted"] = "rolled back" if payload.command == "rollback" else "promoted"
        return replace(row, decision=decision, actor=payload.actor or event.source, cause=event.cause)
    return row


def request_id(event: Event) -> str:
    """The training request that an event is about."""
    match event.payload:
        case catalogue.TrainingRequestPayload(request_id=name):
            return name
        case catalogue.ModelRegistered(recipe=recipe):
            return str(recipe.get("request_id"))
        case catalogue.ModelPromoted(causes=causes) | catalogue.ModelRejected(causes=causes):
            return causes.request
    return event.id


def request_of(event: Event, payload: catalogue.RetrainRequested) -> TrainingRequest:
    """The training request of an event."""
    fields = payload.model_dump(exclude={"dataset"})
    return TrainingRequest(request_id=event.id, cause=event.cause, trace=event.trace, **fields)


def _result(payload: catalogue.TrainingFinished | catalogue.ModelRegistered) -> TrainingRow:
    return {"run_id": payload.run_id, "version": payload.version, "metrics": payload.metrics}
