"""Which version is to be served, and which one is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from veleta.events.catalogue import ModelPromoted
from veleta.ports import NATIVE, SEQ, Version
from veleta.predictor import Predictor


@dataclass(frozen=True)
class Promotion:
    """A version that became the champion with decision number `seq`.

    The registry knows less than the event: what only the event says is empty when there was none.
    """

    version: Version
    seq: int
    metrics: Mapping[str, float]
    promoted_at: datetime | None = None
    causes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Served:
    """The version that answers, since `loaded_at`."""

    promotion: Promotion
    predictor: Predictor
    loaded_at: datetime
    model: Path
    """Its CatBoost file, somewhere in `folder`, which is deleted when another version is served."""
    folder: Path

    @property
    def version(self) -> int:
        """The version's number."""
        return self.promotion.version.number


def announced(payload: ModelPromoted, time: datetime) -> Promotion:
    """The promotion that an event tells of."""
    version = Version(payload.version, payload.run_id, {NATIVE: payload.native})
    return Promotion(version, payload.seq, payload.metrics, time, payload.causes.model_dump())


def found(version: Version) -> Promotion:
    """The promotion that the registry's alias shows; its number is 0 where the version bears none."""
    seq = version.tags.get(SEQ, "")
    return Promotion(version, int(seq) if seq.isascii() and seq.isdigit() else 0, {})
