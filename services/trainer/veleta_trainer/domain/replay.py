"""The trainer's tables as its topics tell them: for a database that was wiped, or restored from an old copy."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from veleta.clock import for_sql
from veleta.events.catalogue import (
    ModelPromoted,
    ModelRegistered,
    ModelRejected,
    RequestPayload,
    RetrainRequested,
    TrainingFailed,
    TrainingFinished,
    TrainingMerged,
    TrainingSkipped,
    TrainingStarted,
)
from veleta.events.envelope import Event
from veleta_trainer.domain import outside
from veleta_trainer.domain.training import Request, rank

Line = dict[str, Any]


@dataclass
class Told:
    """Lines of `trainings` by request, and of `promotions` by sequence number, as columns and values."""

    trainings: dict[str, Line] = field(default_factory=dict)
    promotions: dict[int, Line] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Take in the next event of `retrain`, then of `training`, then of `models`."""
        payload, at = event.payload, for_sql(event.time)
        if isinstance(payload, RetrainRequested):
            self.trainings.setdefault(event.id, _waiting(asked(event, payload), at))
        elif isinstance(payload, RequestPayload):
            self._write(payload.request_id, _of_training(payload, at))
        elif isinstance(payload, ModelRegistered):
            made = {"run_id": payload.run_id, "version": payload.version, "metrics": payload.metrics}
            self._write(str(payload.recipe.get("request_id")), {"state": "registered", **made})
        elif isinstance(payload, ModelPromoted | ModelRejected):
            self._decide(event, payload, at)

    def _write(self, request_id: str, values: Line) -> None:
        """What is known of a request that was asked for; it never goes back."""
        line = self.trainings.get(request_id)
        if line is not None and values and rank(values["state"]) >= rank(line["state"]):
            line |= values

    def _decide(self, event: Event, payload: ModelPromoted | ModelRejected, at: datetime) -> None:
        by_hand = event.id == outside.event_id(payload.model, payload.seq)
        promoted = isinstance(payload, ModelPromoted)
        before = payload.previous if isinstance(payload, ModelPromoted) else payload.champion
        self.promotions[payload.seq] = {
            "seq": payload.seq,
            "version": payload.version,
            "previous": before or None,
            "decision": outside.DECISION if by_hand else "promoted" if promoted else "rejected",
            "reason": payload.reason,
            "actor": outside.DECISION if by_hand else event.source,
            "cause": None if by_hand else payload.causes.request,
            "decided_at": at,
        }
        if not by_hand:
            self._write(payload.causes.request, {"state": "decided"})


def replay(events: Iterable[Event]) -> Told:
    """What the events of `retrain`, `training` and `models`, one topic after the other, tell together."""
    told = Told()
    for event in events:
        told.take(event)
    return told


def asked(event: Event, payload: RetrainRequested) -> Request:
    """The request as the log of intent keeps it."""
    return Request(
        request_id=event.id,
        epoch=payload.epoch,
        number=payload.number,
        reason=payload.reason,
        first=payload.first,
        batches=payload.batches,
        cause=event.cause,
        trace=event.trace,
    )


def _waiting(request: Request, at: datetime) -> Line:
    return {"request_id": request.request_id, "state": "waiting", "cause": asdict(request), "requested_at": at}


def _of_training(payload: RequestPayload, at: datetime) -> Line:
    match payload:
        case TrainingStarted(recipe=recipe):
            return {"state": "planned", "recipe": recipe, "started_at": at}
        case TrainingFinished():
            made = {"run_id": payload.run_id, "version": payload.version, "metrics": payload.metrics}
            return {"state": "finished", **made, "ended_at": at}
        case TrainingMerged(into=into):
            return {"state": "merged", "merged_into": into, "ended_at": at}
        case TrainingSkipped():
            return {"state": "skipped", "ended_at": at}
        case TrainingFailed(reason=reason):
            return {"state": "failed", "failure": reason, "ended_at": at}
        case _:
            return {}
