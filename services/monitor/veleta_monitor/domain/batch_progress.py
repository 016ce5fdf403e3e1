"""The progress of a batch: which steps from the data API to the served model it has passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from veleta.events.catalogue import BatchClosed, BatchOpened
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.formatting import format_number
from veleta_monitor.domain.stages import LastActivity
from veleta_monitor.domain.versions import ServedModel, Training

STEPS = ("fetched", "loaded", "assessed", "trained", "served")
LOST = ("refused", "missed", "abandoned")
"""States of batches that are never loaded."""
StepState = Literal["done", "current", "pending", "skipped", "failed"]


@dataclass(frozen=True)
class Step:
    """One step of a batch. It is `skipped` if the batch does not need it."""

    name: str
    state: StepState
    note: str = ""


@dataclass(frozen=True)
class BatchProgress:
    """A batch and its steps."""

    batch: Batch
    steps: Sequence[Step]

    @property
    def current_step(self) -> str:
        """The name of the step in progress; empty if the batch is complete."""
        return next((step.name for step in self.steps if step.state == "current"), "")

    @property
    def headline(self) -> str:
        """The batch, and whether it is complete."""
        name = self.batch.name
        return f"Batch {name}" if self.current_step else f"Waiting for the next batch. Last batch: {name}"


def current_batch(
    batches: Sequence[Batch], trainings: Sequence[Training], model: ServedModel | None, last: LastActivity | None
) -> BatchProgress | None:
    """The newest incomplete batch, or else the newest batch; None before the first. Both lists are newest first.

    `last` is the poller's last event: it names a batch before the batch table has it.
    """
    candidates = [*_not_in_table(last, batches), *batches]
    progress = [BatchProgress(batch, _steps(batch, _training_for(batch, trainings), model)) for batch in candidates]
    return next((each for each in progress if each.current_step), progress[0] if progress else None)


def _not_in_table(last: LastActivity | None, batches: Sequence[Batch]) -> list[Batch]:
    if last is None or last.batch is None or last.type not in (BatchOpened.TYPE, BatchClosed.TYPE):
        return []
    in_table = bool(batches) and (batches[0].epoch, batches[0].number) >= last.batch
    return [] if in_table else [Batch(*last.batch, "open", updated_at=last.at)]


def _training_for(batch: Batch, trainings: Sequence[Training]) -> Training | None:
    return next((training for training in trainings if training.batch == batch.name), None)


def _steps(batch: Batch, training: Training | None, model: ServedModel | None) -> list[Step]:
    """All steps after the current one are pending."""
    if batch.state in LOST:
        return [Step(STEPS[0], "failed", batch.state), *(Step(name, "skipped") for name in STEPS[1:])]
    later = [_loaded(batch), _assessed(batch), _trained(batch, training), _served(training, model)]
    steps = [Step("fetched", "done"), *later]
    current = next((index for index, step in enumerate(steps) if step.state == "current"), len(steps))
    return [*steps[: current + 1], *(Step(name, "pending") for name in STEPS[current + 1 :])]


def _loaded(batch: Batch) -> Step:
    if batch.without_clean_row:
        return Step("loaded", "failed", "no clean row")
    if batch.state == "loaded":
        total = f" of {format_number(batch.received)}" if batch.left_out else ""
        return Step("loaded", "done", f"{format_number(batch.cleaned)}{total} rows")
    return Step("loaded", "current", "in progress")


def _assessed(batch: Batch) -> Step:
    return Step("assessed", "done", batch.verdict) if batch.verdict else Step("assessed", "current", "in progress")


def _trained(batch: Batch, training: Training | None) -> Step:
    if training is None:
        drift = batch.verdict == "drift"
        return Step("trained", "current", "requested") if drift else Step("trained", "skipped", "not needed")
    match training.outcome:
        case "promoted" | "rejected":
            return Step("trained", "done", f"version {training.version}")
        case "failed":
            return Step("trained", "failed", "failed")
        case "merged" | "skipped":
            return Step("trained", "skipped", training.outcome)
        case state:
            return Step("trained", "current", state)


def _served(training: Training | None, model: ServedModel | None) -> Step:
    if training is None or training.outcome != "promoted":
        return Step("served", "skipped", "rejected" if training and training.outcome == "rejected" else "not needed")
    if model and model.seq >= (training.seq or 0):
        return Step("served", "done", "serving" if model.version == training.version else "replaced")
    return Step("served", "current", "in progress")
