"""What people change in MLflow by hand.

A champion alias that was moved becomes a decision `outside` with an event like a promotion. The deletion of the
champion's version becomes a decision `deleted`.
"""

from datetime import datetime
from typing import Literal

from veleta.events.catalogue import Causes, ModelPromoted
from veleta.ports import DIGEST, NATIVE, Version
from veleta_trainer.domain.training import PromotionRow, Training

OUTSIDE: Literal["outside"] = "outside"
DELETED: Literal["deleted"] = "deleted"


def event_id(model: str, seq: int) -> str:
    """The id of the event of decision `seq`."""
    return f"{model}/{OUTSIDE}/{seq}"


def promotion(version: Version, last: PromotionRow | None, now: datetime) -> PromotionRow:
    """The decision. `last` is the one that made the champion before."""
    before = f"version {last.version}" if last else "no version"
    return PromotionRow(
        version=version.number,
        previous=last.version if last else None,
        decision=OUTSIDE,
        reason=f"the alias was moved by hand in MLflow: version {version.number} instead of {before}",
        actor=OUTSIDE,
        cause=None,
        decided_at=now,
    )


def deleted(version: int) -> str:
    """What people see of a champion that was deleted."""
    return f"version {version} was deleted in the registry"


def deletion(champion: PromotionRow, now: datetime) -> PromotionRow:
    """The record that the champion's version was deleted."""
    return PromotionRow(champion.version, champion.previous, DELETED, deleted(champion.version), OUTSIDE, None, now)


def promoted(model: str, version: Version, promotion: PromotionRow, training: Training | None) -> ModelPromoted:
    """The payload of its event. `training` is the stored one that made the version; a person may register others."""
    request = version.tags.get("request_id", "")
    started = f"{request}/started" if request else ""
    return ModelPromoted(
        model=model,
        version=version.number,
        run_id=version.run_id,
        seq=promotion.seq,
        previous=promotion.previous,
        reason=promotion.reason,
        native=version.tags.get(NATIVE, ""),
        native_digest=version.tags.get(DIGEST),
        metrics=training.metrics if training else {},
        profile=training.profile if training else None,
        causes=Causes(training=started, request=request, report=None, reason=promotion.reason, batches=[]),
    )
