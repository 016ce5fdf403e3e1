"""Training requests, their states and the transitions between them.

waiting ─► planned ─► fitted ─► registered ─► decided ─► aliased ─► finished
            recipe    run id     version        seq      MLflow     events
waiting ─► merged, skipped                          any of them ─► failed
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict

from veleta.events.catalogue import ModelRegistered, Profile
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.recipe import Recipe

State = Literal[
    "waiting", "planned", "fitted", "registered", "decided", "aliased", "finished", "merged", "skipped", "failed"
]
TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "waiting": ("planned", "merged", "skipped", "failed"),
    "planned": ("fitted", "failed"),
    "fitted": ("registered", "failed"),
    "registered": ("decided", "failed"),
    "decided": ("aliased", "failed"),
    "aliased": ("finished", "failed"),
}
"""The states that may follow a state. A state that is not a key is final."""
CHAMPION_DECISIONS = ("promoted", "rolled back", "outside")
"""The outcomes that make a version the champion."""
SERVICES = ("trainer", "outside")
"""The actors of decisions without a command: the trainer, and a person who moved an alias in MLflow."""
ACTIVE_STATES = tuple(TRANSITIONS)[1:]
"""The states of a training in progress. Each is stored when its step is complete."""


def progress(state: State) -> int:
    """How far a request has advanced. All final states are equally far."""
    return list(TRANSITIONS).index(state) if state in TRANSITIONS else len(TRANSITIONS)


@dataclass(frozen=True)
class TrainingRequest:
    """A training request. `cause` is the id of the event that caused it, `trace` the traceparent."""

    request_id: str
    epoch: int
    number: int
    reason: str
    first: bool
    batches: list[str]
    cause: str | None
    trace: str

    @property
    def report(self) -> str | None:
        """The id of the drift report that caused it. None if a batch, a promotion or a person did."""
        return self.cause if self.cause and self.cause.endswith("/assessed") else None


@dataclass(frozen=True)
class Training:
    """A training in progress."""

    request: TrainingRequest
    state: State
    recipe: Recipe
    attempts: int
    """Failed attempts at the next step."""
    fits: int = 0
    """How often fitting began."""
    run_id: str = ""
    version: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    profile: Profile | None = None
    """What the version learnt from. None for versions of earlier releases."""


class TrainingRow(TypedDict, total=False):
    """Columns of PIPELINE.trainings, all or some. `cause` is the request as a dict."""

    request_id: str
    cause: dict[str, Any]
    requested_at: datetime
    state: State
    merged_into: str
    recipe: dict[str, Any]
    run_id: str
    version: int
    metrics: dict[str, float]
    failure: str
    attempts: int
    fits: int
    profile: dict[str, Any]
    started_at: datetime
    ended_at: datetime


def advance(before: State, columns: TrainingRow, now: datetime) -> TrainingRow:
    """The columns to store for a transition to `columns["state"]`. Raises ValueError if there is no such transition."""
    state = columns["state"]
    if state not in TRANSITIONS.get(before, ()):
        raise ValueError(f"a training in state {before} cannot become {state}")
    columns = {**columns, "attempts": 0}
    if state == "planned":
        return {**columns, "started_at": now}
    return columns if state in TRANSITIONS else {**columns, "ended_at": now}


def waiting_row(request: TrainingRequest, at: datetime) -> TrainingRow:
    """The row of a request that arrived."""
    return {"request_id": request.request_id, "state": "waiting", "cause": asdict(request), "requested_at": at}


def profile_column(registered: ModelRegistered) -> TrainingRow:
    """The column with the profile of a version that was registered, if it has one."""
    return {"profile": registered.profile.model_dump(mode="json")} if registered.profile else {}


@dataclass(frozen=True)
class PromotionRow:
    """A decision: a row of PIPELINE.promotions. `seq` is 0 until it is stored.

    `cause` is the id of the training request or of the command. `actor` is the person who sent the command, or one of
    SERVICES. `gates` are what the dataset's promotion policy decided by; a command has none.
    """

    version: int
    previous: int | None
    decision: Literal["promoted", "rolled back", "rejected", "outside", "deleted"]
    reason: str
    actor: str
    cause: str | None
    decided_at: datetime
    seq: int = 0
    gates: Sequence[Check] = ()

    @property
    def description(self) -> str:
        """The decision in one line, with the person who decided by a command."""
        by = f" by {self.actor}" if self.actor not in SERVICES else ""
        return f"{self.decision}{by}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """What becomes of the waiting requests: at most one is trained."""

    train: TrainingRequest | None
    merge: list[TrainingRequest]
    skip: list[TrainingRequest]


def plan_requests(waiting: Sequence[TrainingRequest], *, champion: bool) -> Plan:
    """Merge all waiting requests into one training, for the newest batch.

    A request with `first` is there only because its batch has no predecessor. With a champion it is skipped.
    """
    skip = [r for r in waiting if r.first and champion]
    due = sorted((r for r in waiting if r not in skip), key=lambda r: (r.epoch, r.number))
    return Plan(due[-1] if due else None, due[:-1], skip)
