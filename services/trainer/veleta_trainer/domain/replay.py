"""Computes the trainer's tables from its topics: for a database that was wiped, or restored from an old copy."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from veleta.events import catalogue
from veleta.events.envelope import Event
from veleta_trainer.domain.manual_promotion import OUTSIDE, event_id
from veleta_trainer.domain.training import PromotionRow, Request, TrainingRow, progress, waiting_row


@dataclass
class ReplayedState:
    """Rows of PIPELINE.trainings by request, and of PIPELINE.promotions by sequence number."""

    trainings: dict[str, TrainingRow] = field(default_factory=dict)
    promotions: dict[int, PromotionRow] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Apply the next event. Those of `retrain` come first, then those of `training`, then those of `models`."""
        payload = event.payload
        if isinstance(payload, catalogue.RetrainRequested):
            self.trainings.setdefault(event.id, waiting_row(request_of(event, payload), event.time))
        elif isinstance(payload, catalogue.RequestPayload):
            self._update(payload.request_id, _update_of(payload, event.time))
        elif isinstance(payload, catalogue.ModelRegistered):
            result: TrainingRow = {"run_id": payload.run_id, "version": payload.version, "metrics": payload.metrics}
            self._update(str(payload.recipe.get("request_id")), {"state": "registered", **result})
        elif isinstance(payload, catalogue.ModelPromoted | catalogue.ModelRejected):
            self._decide(event, payload)

    def _update(self, request_id: str, update: TrainingRow | None) -> None:
        """Update the row of a request. Its state never goes back."""
        row = self.trainings.get(request_id)
        if row is not None and update and progress(update["state"]) >= progress(row["state"]):
            row.update(update)

    def _decide(self, event: Event, payload: catalogue.ModelPromoted | catalogue.ModelRejected) -> None:
        manual = event.id == event_id(payload.model, payload.seq)
        promoted = isinstance(payload, catalogue.ModelPromoted)
        self.promotions[payload.seq] = PromotionRow(
            seq=payload.seq,
            version=payload.version,
            previous=(payload.previous if isinstance(payload, catalogue.ModelPromoted) else payload.champion) or None,
            decision=OUTSIDE if manual else "promoted" if promoted else "rejected",
            reason=payload.reason,
            actor=OUTSIDE if manual else event.source,
            cause=None if manual else payload.causes.request,
            decided_at=event.time,
        )
        if not manual:
            self._update(payload.causes.request, {"state": "decided"})


def replay(events: Iterable[Event]) -> ReplayedState:
    """The state after the events of `retrain`, `training` and `models`, one topic after the other."""
    state = ReplayedState()
    for event in events:
        state.apply(event)
    return state


def request_of(event: Event, payload: catalogue.RetrainRequested) -> Request:
    """The training request of an event."""
    fields = payload.model_dump(exclude={"dataset"})
    return Request(request_id=event.id, cause=event.cause, trace=event.trace, **fields)


def _update_of(payload: catalogue.RequestPayload, at: datetime) -> TrainingRow | None:
    match payload:
        case catalogue.TrainingStarted(recipe=recipe):
            return {"state": "planned", "recipe": recipe, "started_at": at}
        case catalogue.TrainingFinished(run_id=run_id, version=version, metrics=metrics):
            return {"state": "finished", "run_id": run_id, "version": version, "metrics": metrics, "ended_at": at}
        case catalogue.TrainingMerged(into=into):
            return {"state": "merged", "merged_into": into, "ended_at": at}
        case catalogue.TrainingSkipped():
            return {"state": "skipped", "ended_at": at}
        case catalogue.TrainingFailed(reason=reason):
            return {"state": "failed", "failure": reason, "ended_at": at}
        case _:
            return None
