"""The decisions of people by commands: `promote` and `rollback`."""

from collections.abc import Iterable
from datetime import datetime

from veleta.events.catalogue import ModelPromoted, Rollback, TrainerCommand
from veleta.ports import Version
from veleta_trainer.domain import manual_promotion
from veleta_trainer.domain.training import PromotionRow, Training


def promotion(
    command: TrainerCommand, command_id: str, version: int, champion: int | None, now: datetime
) -> PromotionRow:
    """The decision. `champion` is the version that is replaced."""
    instead = f"instead of version {champion}" if champion else "there was no champion"
    return PromotionRow(
        version=version,
        previous=champion,
        decision="rolled back" if isinstance(command, Rollback) else "promoted",
        reason=f"{instead}: {command.reason}" if command.reason else instead,
        actor=command.actor,
        cause=command_id,
        decided_at=now,
    )


def promoted(model: str, version: Version, promotion: PromotionRow, training: Training | None) -> ModelPromoted:
    """The payload of its event: see `manual_promotion.promoted`."""
    payload = manual_promotion.promoted(model, version, promotion, training)
    command = "rollback" if promotion.decision == "rolled back" else "promote"
    return payload.model_copy(update={"actor": promotion.actor, "command": command})


def champions(decisions: Iterable[tuple[int, str]]) -> list[int]:
    """The champions to which a person can roll back, one after the other, and the present one at the end.

    `decisions` are those that made a champion, in order: version and outcome. A rollback returns to the champion
    before, so that the next one returns to the champion before that.

    >>> champions([(1, "promoted"), (2, "promoted"), (3, "promoted"), (2, "rolled back")])
    [1, 2]
    """
    line: list[int] = []
    for version, outcome in decisions:
        if outcome == "rolled back" and version in line:
            while line[-1] != version:
                line.pop()
        elif line[-1:] != [version]:
            line.append(version)
    return line
