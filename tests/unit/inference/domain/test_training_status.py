"""What the trainer does, in words."""

import pytest

from veleta.events.catalogue import (
    Payload,
    TrainingFailed,
    TrainingFinished,
    TrainingMerged,
    TrainingProgress,
    TrainingSkipped,
    TrainingStarted,
)
from veleta_inference.domain.training_status import training_status

ID = "homes/2/3/retrain"


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (TrainingStarted(request_id=ID, recipe={}), "training 2/3 has started"),
        (TrainingProgress(request_id=ID, phase="reading", done=1, of=4), "training 2/3 is at batch 1 of 4"),
        (TrainingProgress(request_id=ID, phase="fitting", done=120, of=500), "training 2/3 is at tree 120 of 500"),
        (TrainingProgress(request_id=ID, phase="explaining", done=0, of=1), "training 2/3 is explaining"),
        (TrainingFailed(request_id=ID, reason="no rows"), "training 2/3 failed: no rows"),
        (TrainingSkipped(request_id=ID, reason="it is old"), "training 2/3 was skipped: it is old"),
        (
            TrainingFinished(request_id=ID, run_id="r", version=1, decision="promoted", metrics={}),
            "training 2/3 has finished",
        ),
        (TrainingMerged(request_id=ID, into="homes/2/4/retrain"), None),
    ],
)
def test_the_status_names_the_training_and_its_step(payload: Payload, status: str | None) -> None:
    """An event that does not concern the running training changes nothing."""
    assert training_status(payload) == status
