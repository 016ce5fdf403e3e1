"""Commands to a real trainer, as `make` sends them."""

from support.testbed import Testbed, wait_until
from veleta.events.catalogue import TrainerCommand, TrainingProgress
from veleta_local.errors import LocalError
from veleta_local.send_command import send_command


def obey(testbed: Testbed, kind: type[TrainerCommand], **fields: str | int | None) -> str:
    """The trainer's reply: the effect of a command, or `refused: ` and the reason."""
    try:
        return send_command(testbed.kafka_as("operator"), kind, testbed.dataset.name, **fields)
    except LocalError as refusal:
        return str(refusal)


def wait_for_phase(testbed: Testbed, phase: str, after: int) -> None:
    """Wait until a training reports a phase, in the events of `training` after the first `after`."""

    def reported() -> bool:
        payloads = [event.payload for event in testbed.events("training")[after:]]
        return phase in [payload.phase for payload in payloads if isinstance(payload, TrainingProgress)]

    wait_until(reported, what=f"a training is {phase}")
