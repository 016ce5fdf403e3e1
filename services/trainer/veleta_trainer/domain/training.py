"""Requests to train, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from veleta_trainer.domain.recipe import Recipe

STEPS = ("waiting", "planned", "fitted", "registered", "decided", "aliased")
"""The states of a request in their order; any other one is an end."""
State = Literal["planned", "fitted", "registered", "decided", "aliased"]
"""The states of a training under way, each kept when its step is done."""


@dataclass(frozen=True)
class Request:
    """A request to train, as its event told it. `cause` is the id of the drift report, `trace` the traceparent."""

    request_id: str
    epoch: int
    number: int
    reason: str
    first: bool
    batches: list[str]
    cause: str | None
    trace: str


@dataclass(frozen=True)
class Training:
    """A training under way: its line in the log of intent, with the decision once there is one."""

    request: Request
    state: State
    recipe: Recipe
    attempts: int
    run_id: str = ""
    version: int = 0
    metrics: dict[str, float] | None = None
    seq: int = 0
    decision: Literal["promoted", "rejected"] | None = None
    reason: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True)
class Crowned:
    """The last decision that gave the alias `champion` to a version."""

    seq: int
    version: int
    previous: int | None


def rank(state: str) -> int:
    """How far a request is: the greater, the further; all ends are equally far."""
    return STEPS.index(state) if state in STEPS else len(STEPS)


@dataclass(frozen=True)
class Plan:
    """One request is trained for, at the most; the others need no training of their own."""

    train: Request | None
    merge: list[Request]
    skip: list[Request]


def plan(waiting: Sequence[Request], *, champion: bool) -> Plan:
    """Merge all that wait into one training, for the newest batch.

    The first batch of an epoch only asks because there is nothing before it: with a champion it is skipped.
    """
    skip = [r for r in waiting if r.first and champion]
    due = sorted((r for r in waiting if r not in skip), key=lambda r: (r.epoch, r.number))
    return Plan(due[-1] if due else None, due[:-1], skip)
