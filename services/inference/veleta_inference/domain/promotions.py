"""Promoted versions, and the loaded model of one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import ModelPromoted
from veleta.intervals import COVERAGE, AdjustedLevel
from veleta.ports import DECISION, DIGEST, NATIVE, REJECTED, Version
from veleta.training_values import TrainingValues
from veleta_inference.domain.error_window import ErrorWindow
from veleta_inference.domain.errors import InvalidRequest
from veleta_inference.domain.interval_predictor import IntervalBooster, IntervalPredictor
from veleta_inference.domain.served_market import NO_LEVELS, LevelUpdates, PriceLevel, ServedMarket
from veleta_inference.domain.value_checks import ValueChecks

PromotionKey = tuple[int, int, str, str]
"""The sequence number, version, run and model's address of a promotion: the order of promotions."""


class UnknownPromotion(Reject):
    """The registry does not know a promotion: its event is forged, or the registry was recreated."""


@dataclass(frozen=True)
class Promotion:
    """A version that became the champion by decision number `seq`.

    All but the version and the number come from the event. They are empty if only the registry's alias is known.
    `actor` is the person who promoted it by a command, if one did.
    """

    version: Version
    seq: int
    metrics: Mapping[str, float]
    promoted_at: datetime | None = None
    causes: Mapping[str, Any] | None = None
    reason: str | None = None
    actor: str | None = None

    @property
    def key(self) -> PromotionKey:
        """What identifies it. A forged promotion may have the sequence number of a true one."""
        return self.seq, self.version.number, self.version.run_id, self.version.tags.get(NATIVE, "")


@dataclass(frozen=True)
class LoadedModel:
    """The model of a promotion, served since `loaded_at`."""

    promotion: Promotion
    predictor: IntervalPredictor
    checks: ValueChecks
    window: ErrorWindow
    """The rows that this process predicted with it last. It stays when the promotion or the level changes."""
    loaded_at: datetime
    path: Path
    """Its CatBoost file. It exists as long as the predictor's booster."""
    digest: str
    """The file's SHA-256."""
    verified: bool
    """Whether it was compared with that of the trained file. A version of an earlier release has none."""
    adjusted: AdjustedLevel | None = None
    """The level of its intervals after a batch. A new version has none."""
    market: ServedMarket | None = None
    """The levels of its market. None if its dataset had no market."""

    @classmethod
    def of_booster(
        cls,
        dataset: Dataset,
        promotion: Promotion,
        booster: IntervalBooster,
        loaded_at: datetime,
        path: Path,
        digest: str,
        *,
        verified: bool,
        trained_with: str | None = None,
    ) -> "LoadedModel":
        """The model of the file at `path`, which is loaded. For `trained_with` see `check_features`. Raises Reject."""
        predictor = IntervalPredictor(dataset, booster, trained_with)
        checks = ValueChecks(dataset, TrainingValues.of_model(booster.get_metadata()))
        window = ErrorWindow(predictor.holdout_errors)
        market = ServedMarket(predictor.market) if predictor.market else None
        return cls(promotion, predictor, checks, window, loaded_at, path, digest, verified, market=market)

    def at_level(self, level: AdjustedLevel | None) -> "LoadedModel":
        """The model with this level, if it is a later one."""
        if level is None or (self.adjusted and level <= self.adjusted):
            return self
        return replace(self, predictor=self.predictor.at_level(level.level), adjusted=level)

    def after(self, updates: LevelUpdates | None) -> "LoadedModel":
        """The model at the level of the market after these updates."""
        if self.market is None or (market := self.market.updated(updates)) is self.market:
            return self
        return replace(self, predictor=self.predictor.at_market_level(market.state.level.value), market=market)

    def price_level(self, as_of: object, now: datetime) -> PriceLevel | None:
        """The level of a request's prices, None without a market: see `ServedMarket.level`. Raises InvalidRequest."""
        if self.market:
            return self.market.level(as_of, now, self.promotion.promoted_at)
        if as_of is None:
            return None
        raise InvalidRequest(NO_LEVELS, [])

    @property
    def level(self) -> float | None:
        """The present level of its intervals. None if it has no intervals."""
        if not self.predictor.has_intervals:
            return None
        return self.adjusted.level if self.adjusted else COVERAGE

    @property
    def version(self) -> int:
        """The version's number."""
        return self.promotion.version.number


def promotion_of_event(payload: ModelPromoted, time: datetime) -> Promotion:
    """The promotion that an event reports."""
    tags = {NATIVE: payload.native, DIGEST: payload.native_digest}
    version = Version(payload.version, payload.run_id, {name: value for name, value in tags.items() if value})
    causes = payload.causes.model_dump()
    return Promotion(version, payload.seq, payload.metrics, time, causes, payload.reason, payload.actor)


def promotion_of_alias(version: Version) -> Promotion:
    """The promotion that the registry's alias shows. Its number is 0 if the version has no valid tag for it."""
    return Promotion(version, version.seq, {})


def known_version(promotion: Promotion, known: Version | None) -> Version:
    """The version of an event's promotion with its tags in the registry, where it is `known`.

    A version may have been decided on again since, under a higher number.

    Raises:
        UnknownPromotion: the registry has no such decision.
    """
    version = promotion.version
    if known is None or known.number != version.number:
        fault = "there is no such version"
    elif known.run_id != version.run_id:
        fault = f"its run is {known.run_id}"
    elif known.seq < promotion.seq:
        fault = f"its last decision is {known.seq}"
    elif known.tags.get(DECISION, "").startswith(REJECTED):
        fault = "it was rejected"
    elif changed := [tag for tag in version.tags if known.tags.get(tag, version.tags[tag]) != version.tags[tag]]:
        fault = f"its tag {changed[0]} is {known.tags[changed[0]]}"
    else:
        return replace(version, tags={**known.tags, **version.tags})
    detail = f"version {version.number} of run {version.run_id} by decision {promotion.seq}: {fault}"
    raise UnknownPromotion("the registry does not know this promotion", detail)
