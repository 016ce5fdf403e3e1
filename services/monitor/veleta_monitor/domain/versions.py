"""The requests to train and the versions they led to, and why the served version exists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from veleta_monitor.domain.formatting import NOTHING, Cell, Head, Table, Tone, ago, exact, figure, listed, moment

OUTCOMES: Mapping[str, Tone] = {
    "promoted": "good",
    "rejected": "quiet",
    "merged": "quiet",
    "skipped": "quiet",
    "failed": "bad",
}
"""Tones of what a request or a decision ended with; any other is under way."""


@dataclass(frozen=True)
class Training:
    """A request to train or a decision, or both: `outcome` is the decision, or the request's state without one.

    `why` is the decision's reason, `asked` the reason of the request, `batch` the one that set it off.
    """

    outcome: str
    version: int | None = None
    seq: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    asked: str = ""
    batch: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Served:
    """What GET /model told; `causes` is None when the registry, and no event, named the champion."""

    version: int
    seq: int
    loaded_at: datetime | None
    promoted_at: datetime | None
    metrics: Mapping[str, float]
    causes: Mapping[str, Any] | None


def served(body: Mapping[str, Any]) -> Served:
    """The served version that the JSON of GET /model tells. Raises KeyError, TypeError, ValueError on another one."""
    return Served(
        version=int(body["version"]),
        seq=int(body["promotion_seq"]),
        loaded_at=_time(body.get("loaded_at")),
        promoted_at=_time(body.get("promoted_at")),
        metrics=body.get("metrics") or {},
        causes=body.get("causes"),
    )


def since(model: Served, now: datetime) -> Cell:
    """Since when the version answers."""
    return Cell(f"loaded {ago(model.loaded_at, now)}", hint=exact(model.loaded_at)) if model.loaded_at else Cell("")


def why(model: Served, now: datetime) -> list[str]:
    """Why the served version exists, in sentences."""
    decided = f", {ago(model.promoted_at, now)}" if model.promoted_at else ""
    first = f"Version {model.version} became the champion by decision {model.seq}{decided}."
    if not model.causes:
        return [first, "MLflow names it as the champion; no event that says why has been read yet."]
    return [first, *_causes(model.causes)]


def _causes(causes: Mapping[str, Any]) -> list[str]:
    sentences = [f"Asked for because: {causes.get('reason') or 'no reason given'}."]
    if batches := causes.get("batches") or []:
        sentences.append(f"Batches that led to it: {', '.join(map(str, batches))}.")
    if causes.get("report"):
        sentences.append(f"Drift report {causes['report']} led to request {causes.get('request')}.")
    return sentences


def training_table(
    trainings: Sequence[Training], serving: int | None, unit: str, mlflow_model: str, now: datetime
) -> Table:
    """Trainings and decisions in the order given; `unit` is the target's, `mlflow_model` the model's address."""
    heads = (
        Head("Version", numeric=True), Head("Decision"), Head("No.", numeric=True),
        Head(f"MAE ({unit})" if unit else "MAE", numeric=True), Head("Why so decided", wide=True),
        Head("Why asked for", wide=True),
        Head("When"),
    )  # fmt: skip
    return Table(heads, [_row(training, serving, mlflow_model, now) for training in trainings])


def _row(training: Training, serving: int | None, mlflow_model: str, now: datetime) -> list[Cell]:
    return [
        _version(training, serving, mlflow_model),
        Cell(training.outcome, tone=OUTCOMES.get(training.outcome, "warn")),
        Cell(figure(training.seq)),
        Cell(figure(training.metrics.get("mae")), hint=listed(training.metrics)),
        Cell(training.why or NOTHING),
        Cell(training.asked or NOTHING, note=f"batch {training.batch}" if training.batch else ""),
        moment(training.at, now),
    ]


def _version(training: Training, serving: int | None, mlflow_model: str) -> Cell:
    if training.version is None:
        return Cell(NOTHING)
    link = f"{mlflow_model}/versions/{training.version}" if mlflow_model else ""
    return Cell(str(training.version), link=link, note="serving" if training.version == serving else "")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
