"""Training requests, the versions that they led to, and why the served version was promoted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from veleta_monitor.domain.formatting import NO_VALUE, format_number, format_numbers
from veleta_monitor.domain.market import MarketLevel, parse_market
from veleta_monitor.domain.table import Cell, Column, Table, Tone, age_cell, time_cell

OUTCOME_TONES: Mapping[str, Tone] = {
    "promoted": "good",
    "rolled back": "good",
    "rejected": "neutral",
    "merged": "neutral",
    "skipped": "neutral",
    "failed": "bad",
}
"""Tones of final outcomes. All other outcomes are in progress."""


@dataclass(frozen=True)
class Training:
    """A training request, a decision, or both. `outcome` is the decision, or the request's state without one.

    `reason` explains the outcome, and `actor` is who decided. `request_reason` and `batch` explain the request.
    `effect` is whether a promoted version helped, in words.
    """

    outcome: str
    version: int | None = None
    seq: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    request_reason: str = ""
    batch: str = ""
    updated_at: datetime | None = None
    actor: str = ""
    effect: str = ""


@dataclass(frozen=True)
class ServedModel:
    """The response of GET /model. `causes` is None if inference found the champion in MLflow, without its event."""

    version: int
    seq: int
    loaded_at: datetime | None
    promoted_at: datetime | None
    metrics: Mapping[str, float]
    causes: Mapping[str, Any] | None
    reason: str = ""
    actor: str = ""
    """The person who promoted it by a command, if one did."""
    estimate: Mapping[str, Any] = field(default_factory=dict)
    """The expected error of the last rows, or why there is none. Empty: an earlier release of inference."""
    market: MarketLevel | None = None
    """None: the version was trained without one."""


def parse_model(body: Mapping[str, Any]) -> ServedModel:
    """The served version in the JSON of GET /model. Raises KeyError, TypeError or ValueError if it is malformed."""
    return ServedModel(
        version=int(body["version"]),
        seq=int(body["promotion_seq"]),
        loaded_at=_time(body.get("loaded_at")),
        promoted_at=_time(body.get("promoted_at")),
        metrics=body.get("metrics") or {},
        causes=body.get("causes"),
        reason=str(body.get("reason") or ""),
        actor=str(body.get("actor") or ""),
        estimate=body.get("estimate") or {},
        market=parse_market(body.get("market")),
    )


def promotion_sentences(model: ServedModel, now: datetime) -> list[str]:
    """Why the served version was promoted, in sentences."""
    age = age_cell(", ", model.promoted_at, now)
    first = f"Version {model.version} became the champion by decision {model.seq}{age.text if age else ''}."
    if not model.causes:
        return [first, "Inference found it in MLflow. It has not yet read an event that gives the reason."]
    if model.actor:
        return [first, f"{model.actor} made it the champion by a command: {model.reason}."]
    return [first, *_causes(model.causes)]


def _causes(causes: Mapping[str, Any]) -> list[str]:
    sentences = [f"Reason for the training: {causes.get('reason') or 'not given'}."]
    if batches := causes.get("batches") or []:
        sentences.append(f"Batches that caused it: {', '.join(map(str, batches))}.")
    if causes.get("report"):
        sentences.append(f"Drift report {causes['report']} led to training request {causes.get('request')}.")
    return sentences


def estimate_sentence(model: ServedModel) -> str:
    """The expected error of the last predicted rows, or why there is none. Empty if inference says nothing of it."""
    match model.estimate:
        case {"rows": rows, "expected_error": error, "outside": outside, "outside_of_holdout": holdout}:
            shares = f"{100 * outside:.0f} % of them ({100 * holdout:.0f} % of its holdout)"
            first = f"Expected error of the last {rows:,} predicted rows: {100 * error:.0f} %"
            return f"{first}, {shares} outside what the model has learnt."
        case {"reason": reason}:
            return f"No expected error: {reason}."
        case _:
            return ""


def training_table(
    trainings: Sequence[Training], served: int | None, unit: str, model_url: str, now: datetime
) -> Table:
    """Trainings and decisions in the given order. `unit` is the target's; `model_url` is the model's page in MLflow."""
    columns = (
        Column("Version", numeric=True), Column("Outcome"), Column("Decision", numeric=True),
        Column(f"MAE ({unit})" if unit else "MAE", numeric=True), Column("Reason for the outcome", wide=True),
        Column("Reason for the training", wide=True), Column("When"),
    )  # fmt: skip
    return Table(columns, [_row(training, served, model_url, now) for training in trainings])


def _row(training: Training, served: int | None, model_url: str, now: datetime) -> list[Cell]:
    return [
        _version(training, served, model_url),
        Cell(training.outcome, note=_outcome_note(training), tone=OUTCOME_TONES.get(training.outcome, "warn")),
        Cell(format_number(training.seq)),
        Cell(format_number(training.metrics.get("mae")), hint=format_numbers(training.metrics)),
        Cell(training.reason or NO_VALUE),
        Cell(training.request_reason or NO_VALUE, note=f"batch {training.batch}" if training.batch else ""),
        time_cell(training.updated_at, now),
    ]


def _outcome_note(training: Training) -> str:
    """Who decided by a command, and whether it helped. Decisions of the trainer, and those in MLflow, name nobody."""
    person = f"by {training.actor}" if training.actor not in ("", "trainer", "outside") else ""
    return "\n".join(filter(None, [person, training.effect]))


def _version(training: Training, served: int | None, model_url: str) -> Cell:
    if training.version is None:
        return Cell(NO_VALUE)
    link = f"{model_url}/versions/{training.version}" if model_url else ""
    return Cell(str(training.version), link=link, note="served" if training.version == served else "")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
