"""What the trainer does, in words. Inference shows it while there is no model."""

from veleta.events.catalogue import (
    Payload,
    TrainingFailed,
    TrainingFinished,
    TrainingProgress,
    TrainingSkipped,
    TrainingStarted,
)

_PHASES = {"reading": "batch", "fitting": "tree"}
"""What the steps of a phase are. A phase without steps is shown by its own name."""


def training_status(payload: Payload) -> str | None:  # noqa: PLR0911 - one case for each event
    """The status of a training after an event; None if the event does not change it."""
    match payload:
        case TrainingStarted():
            return f"training {payload.short_id} has started"
        case TrainingProgress(phase=phase) if phase in _PHASES:
            return f"training {payload.short_id} is at {_PHASES[phase]} {payload.done:,} of {payload.of:,}"
        case TrainingProgress():
            return f"training {payload.short_id} is {payload.phase}"
        case TrainingFinished():
            return f"training {payload.short_id} has finished"
        case TrainingFailed():
            return f"training {payload.short_id} failed: {payload.reason}"
        case TrainingSkipped():
            return f"training {payload.short_id} was skipped: {payload.reason}"
        case _:
            return None
