"""The batch in flight: the newest that is not through the loop yet, and how far it came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from veleta.events.catalogue import BatchClosed, BatchOpened
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.formatting import figure
from veleta_monitor.domain.stages import Deed
from veleta_monitor.domain.versions import Served, Training

STEPS = ("taken", "stored", "judged", "trained", "served")
LOST = ("refused", "missed", "abandoned")
"""States of batches that go no further."""
Progress = Literal["done", "now", "ahead", "passed", "failed"]


@dataclass(frozen=True)
class Step:
    """A step of a batch's way; one that is not needed is `passed`."""

    name: str
    progress: Progress
    note: str = ""


@dataclass(frozen=True)
class Flight:
    """A batch and its steps."""

    batch: Batch
    steps: Sequence[Step]

    @property
    def at(self) -> str:
        """The name of the step at hand; empty when the batch is through."""
        return next((step.name for step in self.steps if step.progress == "now"), "")

    @property
    def headline(self) -> str:
        """Which batch this is."""
        return f"Batch {self.batch.name}" if self.at else f"Waiting for the next batch. The last one: {self.batch.name}"


def newest_flight(
    batches: Sequence[Batch], trainings: Sequence[Training], model: Served | None, last: Deed | None
) -> Flight | None:
    """The newest batch under way, or else the newest at all; None before the first. Both lists are newest first.

    `last` is the poller's last event: it knows of a batch before the ledger does.
    """
    known = [*_before_the_ledger(last, batches), *batches]
    flights = [Flight(batch, _steps(batch, _led_to(batch, trainings), model)) for batch in known]
    return next((each for each in flights if each.at), flights[0] if flights else None)


def _before_the_ledger(last: Deed | None, batches: Sequence[Batch]) -> list[Batch]:
    if last is None or last.batch is None or last.what not in (BatchOpened.TYPE, BatchClosed.TYPE):
        return []
    known = bool(batches) and (batches[0].epoch, batches[0].number) >= last.batch
    return [] if known else [Batch(*last.batch, "open", at=last.at)]


def _led_to(batch: Batch, trainings: Sequence[Training]) -> Training | None:
    return next((training for training in trainings if training.batch == batch.name), None)


def _steps(batch: Batch, training: Training | None, model: Served | None) -> list[Step]:
    """What comes after the step at hand is ahead."""
    if batch.state in LOST:
        return [Step(STEPS[0], "failed", batch.state), *(Step(name, "passed") for name in STEPS[1:])]
    found = [Step("taken", "done"), _stored(batch), _judged(batch), _trained(batch, training), _served(training, model)]
    at = next((place for place, step in enumerate(found) if step.progress == "now"), len(found))
    return [*found[: at + 1], *(Step(name, "ahead") for name in STEPS[at + 1 :])]


def _stored(batch: Batch) -> Step:
    if batch.state == "loaded":
        return Step("stored", "done", f"{figure(batch.cleaned)} rows")
    return Step("stored", "now", "now")


def _judged(batch: Batch) -> Step:
    return Step("judged", "done", batch.verdict) if batch.verdict else Step("judged", "now", "now")


def _trained(batch: Batch, training: Training | None) -> Step:
    if training is None:
        return Step("trained", "now", "asked for") if batch.verdict == "drift" else Step("trained", "passed", "no need")
    match training.outcome:
        case "promoted" | "rejected":
            return Step("trained", "done", f"version {training.version}")
        case "failed":
            return Step("trained", "failed", "failed")
        case "merged" | "skipped":
            return Step("trained", "passed", training.outcome)
        case under_way:
            return Step("trained", "now", under_way)


def _served(training: Training | None, model: Served | None) -> Step:
    if training is None or training.outcome != "promoted":
        return Step("served", "passed", "rejected" if training and training.outcome == "rejected" else "no need")
    if model and model.seq >= (training.seq or 0):
        return Step("served", "done", "answers" if model.version == training.version else "replaced since")
    return Step("served", "now", "now")
