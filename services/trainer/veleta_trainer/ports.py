"""What the trainer asks of the world beyond the shared ports."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from veleta.ports import UnitOfWork, Version
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.replay import Told
from veleta_trainer.domain.training import Crowned, Request, Training


class Trainings(Protocol):
    """PIPELINE.trainings and promotions within one transaction."""

    def add(self, request: Request, at: datetime) -> None:
        """A request waits; one that is known stays as it is."""
        ...

    def waiting(self) -> list[Request]:
        """The requests that wait, in the order of arrival."""
        ...

    def under_way(self) -> Training | None:
        """The training that was begun and not ended."""
        ...

    def write(self, request_id: str, **values: Any) -> None:
        """Write into a request's line. Raises Lost when it is not there."""
        ...

    def recipe_of(self, version: int) -> Recipe | None:
        """What a version was trained from."""
        ...

    def metrics_of(self, version: int) -> dict[str, float]:
        """How a version scored; empty when it was not trained here."""
        ...

    def champion(self) -> Crowned | None:
        """The last decision that made a champion."""
        ...

    def given_up(self) -> bool:
        """Whether nothing waits and nothing is under way, and some request failed."""
        ...

    def restore(self, told: Told) -> None:
        """Add the lines that are missing, and bring those that are behind to where the topics say they are."""
        ...

    def decide(self, **values: Any) -> int:
        """Keep a decision: its sequence number. A request that was decided keeps the one it has."""
        ...


@dataclass(frozen=True)
class LeaseRow:
    """Who holds the lease until when (UTC, by the database's clock). `fence` grows with each holder."""

    holder: str
    fence: int
    expires_at: datetime


class LeaseRepository(Protocol):
    """The row of the lease within one transaction."""

    def now(self) -> datetime:
        """The database's clock, UTC without a zone."""
        ...

    def load(self) -> LeaseRow | None:
        """The row, locked until the transaction ends."""
        ...

    def save(self, row: LeaseRow) -> None:
        """Insert or replace the row."""
        ...


class TrainerUnitOfWork(UnitOfWork, Protocol):
    """The trainer's transaction."""

    @property
    def trainings(self) -> Trainings:
        """Requests, trainings and decisions."""
        ...

    @property
    def lease(self) -> LeaseRepository:
        """The row of the lease."""
        ...


@dataclass(frozen=True)
class Fitted:
    """What the child process left: model.cbm and the folder `explain` below `folder`; metrics on the holdout."""

    folder: Path
    metrics: dict[str, float]


@dataclass(frozen=True)
class LoggedRun:
    """A run in MLflow, with the addresses of its two models: the one to register, and the native one."""

    run_id: str
    source: str
    native: str
    metrics: dict[str, float]


Progress = Callable[[str, int, int, float | None], Awaitable[None]]
"""Told how far a training is: phase, done, of, and the error on what it learns from where there is one."""


class Fitting(Protocol):
    """Fits in a process of its own, so that memory comes back and the service keeps answering."""

    async def fit(self, recipe: Recipe, champion: Version | None, progress: Progress) -> Fitted:
        """Carry out a recipe; measure the champion on the same holdout. Raises Retry, or Reject: nothing to learn."""
        ...


class Runs(Protocol):
    """Runs in MLflow. Every method blocks and raises Retry when the server is away."""

    def log(self, recipe: Recipe, fitted: Fitted) -> LoggedRun:
        """Keep a training as a finished run with its models and artifacts."""
        ...

    def get(self, run_id: str) -> LoggedRun:
        """A run that was logged."""
        ...

    def find(self, request_id: str) -> LoggedRun | None:
        """The finished run of a request, if a trainer before this one kept it and could not say so."""
        ...

    def end_open(self) -> None:
        """End as KILLED what a killed trainer left open."""
        ...
