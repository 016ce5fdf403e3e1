"""Promoted versions, and the loaded model of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from veleta.events.catalogue import ModelPromoted
from veleta.ports import DIGEST, NATIVE, SEQ, Version
from veleta.predictor import Predictor
from veleta_inference.domain.value_checks import ValueChecks


@dataclass(frozen=True)
class Promotion:
    """A version that became the champion by decision number `seq`.

    `promoted_at`, `metrics` and `causes` come from the event. They are empty if only the registry's alias is known.
    """

    version: Version
    seq: int
    metrics: Mapping[str, float]
    promoted_at: datetime | None = None
    causes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LoadedModel:
    """The model of a promotion, served since `loaded_at`."""

    promotion: Promotion
    predictor: Predictor
    checks: ValueChecks
    loaded_at: datetime
    path: Path
    """Its CatBoost file. It exists as long as the predictor."""
    digest: str
    """The file's SHA-256."""
    verified: bool
    """Whether it is that of the file that was trained. Of a version of an earlier release nobody knows."""

    @property
    def version(self) -> int:
        """The version's number."""
        return self.promotion.version.number


def promotion_of_event(payload: ModelPromoted, time: datetime) -> Promotion:
    """The promotion that an event reports."""
    tags = {NATIVE: payload.native, **({DIGEST: payload.native_digest} if payload.native_digest else {})}
    version = Version(payload.version, payload.run_id, tags)
    return Promotion(version, payload.seq, payload.metrics, time, payload.causes.model_dump())


def promotion_of_alias(version: Version) -> Promotion:
    """The promotion that the registry's alias shows. Its number is 0 if the version has no valid tag for it."""
    seq = version.tags.get(SEQ, "")
    return Promotion(version, int(seq) if seq.isascii() and seq.isdigit() else 0, {})
