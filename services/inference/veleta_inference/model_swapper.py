"""Loads promoted models, checks them, and swaps the served one."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.dataset import Dataset, Values
from veleta.errors import Reject, Retry, one_line
from veleta.events.catalogue import IntervalsAdjusted, LevelUpdated, ModelPromoted
from veleta.events.envelope import Record, decode, is_for
from veleta.faults import fault_point
from veleta.intervals import AdjustedLevel
from veleta.ports import CHAMPION, INTERVAL_LEVEL, Registry
from veleta.predictor import OtherFeatures, Predictor
from veleta.service.health import ServiceHealth
from veleta.smoke_check import smoke_check
from veleta_inference.dead_letters import DeadLetterOutbox
from veleta_inference.domain.interval_predictor import IntervalBooster
from veleta_inference.domain.promotions import (
    LoadedModel,
    Promotion,
    PromotionKey,
    UnknownPromotion,
    promotion_of_alias,
    promotion_of_event,
)
from veleta_inference.domain.refused_promotions import RefusedPromotions
from veleta_inference.domain.served_market import LevelUpdates
from veleta_inference.domain.training_status import training_status
from veleta_inference.model_loader import ModelLoader

log = structlog.get_logger()
VERSION = prometheus_client.Gauge(
    "veleta_model_version", "the served version, the lowest of all workers; 0: none", multiprocess_mode="livemin"
)
MARKET_LEVEL = prometheus_client.Gauge(
    "veleta_market_level",
    "the served level of the market, as a factor of the first period's prices, of the worker that followed last; "
    "0: the served version has none",
    multiprocess_mode="livemostrecent",
)
SWAP_SECONDS = prometheus_client.Histogram(
    "veleta_model_swap_duration_seconds", "from the arrival of a promotion until it is served"
)
LOAD_FAILURES = prometheus_client.Counter("veleta_model_load_failures", "loads that failed, or failed the smoke check")

MAX_HISTORY = 100
"""At most this many promotions are known: the newest."""
RETRY_SECONDS = 2.0
"""The pause before the registry is called again after it was unavailable."""
UNVERIFIED = "the file of the served version has no SHA-256 to compare with: an earlier release trained it"
"""A warning until the next version is served."""
UNREAD_LEVELS = "the levels of the market were not yet read from Kafka"
"""Why a restarted process has no model yet: it serves the level that was served before."""
UNREAD = "the registry was not yet read"
"""Why there is no model before the first reconciliation."""


@dataclass(frozen=True)
class Arrival:
    """The record of a promotion, and when it arrived, in seconds of the monotonic clock."""

    record: Record
    at: float


class ModelSwapper:
    """Provides the served model (a `ModelProvider`). One task, `run`, swaps it, by one assignment."""

    def __init__(
        self,
        dataset: Dataset,
        registry: Registry,
        load: Callable[[Path], IntervalBooster],
        letters: DeadLetterOutbox,
        health: ServiceHealth,
        clock: Clock,
        folder: Path,
        recent_rows: Collection[Values] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Models are downloaded into `folder`. `recent_rows` are rows of recent requests, for the smoke check."""
        self._dataset = dataset
        self._registry = registry
        self._loader = ModelLoader(dataset, registry, load, clock, folder)
        self._letters = letters
        self._health = health
        self._clock = clock
        self._recent_rows = recent_rows
        self._model: LoadedModel | None = None
        self._promotions: dict[PromotionKey, Promotion] = {}
        self._arrivals: dict[PromotionKey, Arrival] = {}
        self._levels: dict[tuple[int, str], AdjustedLevel] = {}
        self._updates: dict[tuple[int, str], LevelUpdates] = {}
        self._levels_read = asyncio.Event()
        if dataset.market is None:
            self._levels_read.set()
        self._refused = RefusedPromotions(monotonic)
        self._monotonic = monotonic
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._training = UNREAD
        self._fault = "" if self._levels_read.is_set() else UNREAD_LEVELS
        self._report()

    @property
    def model(self) -> LoadedModel:
        if self._model is None:
            raise Retry("model", self._health.unavailable.get("model", "there is none"))
        return self._model

    @property
    def explained(self) -> bool:
        """Whether a promotion is served whose event is known. It has the causes; the registry's alias has none."""
        return self._model is not None and self._model.promotion.causes is not None

    async def reconciled(self) -> None:
        """Wait until the newest valid one of all known promotions is served."""
        await self._settled.wait()

    def promotions(self) -> Sequence[Promotion]:
        """See `ModelProvider.promotions`. At most MAX_HISTORY."""
        return [self._promotions[key] for key in sorted(self._promotions, reverse=True)]

    def handle(self, records: Sequence[Record]) -> None:
        """Add the promotions among records of `models`, and wake `run`. Apply the adjusted levels of intervals.

        Apply the levels of the market among records of `levels`.
        """
        for record in records:
            if not is_for(self._health.service, record):
                continue
            try:
                event = decode(record)
                if isinstance(event.payload, LevelUpdated):
                    self._follow_market(event.payload, event.time)
            except Reject as error:
                self._letters.send(error, error.reason, record)
                continue
            if isinstance(adjusted := event.payload, IntervalsAdjusted):
                level = AdjustedLevel(adjusted.epoch, adjusted.number, adjusted.level)
                self._adjust(adjusted.version, adjusted.run_id, level)
            if isinstance(event.payload, ModelPromoted):
                promotion = promotion_of_event(event.payload, event.time)
                if self._add(promotion):
                    self._arrivals[promotion.key] = Arrival(record, self._monotonic())

    def levels_are_read(self) -> None:
        """Serve models from now on: the levels of the market that a restart finds are known."""
        self._levels_read.set()

    def handle_training(self, records: Sequence[Record]) -> None:
        """Report the training that the last of these records is about, while there is no model."""
        for record in records:
            with contextlib.suppress(Reject):
                self._training = training_status(decode(record).payload) or self._training
        if not self._model:
            self._report()

    async def run(self, reconcile_seconds: float) -> None:
        """Serve the newest promotion. Reconcile with the registry regularly, which also retries what failed.

        With a market it begins when the levels are read.
        """
        await self._health.heartbeat_during(self._levels_read.wait())
        while not self._health.stopping.is_set():
            self._changed.clear()
            pause = reconcile_seconds
            try:
                await self.reconcile()
                if not self._changed.is_set():
                    self._settled.set()
            except Exception as error:  # noqa: BLE001 - the served model stays, whatever the registry returns
                log.warning("unavailable", dependency="mlflow", reason=str(error))
                self._fault = "the registry (mlflow) is unavailable"
                self._report()
                pause = min(reconcile_seconds, RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await self._health.heartbeat_during(asyncio.wait_for(self._changed.wait(), pause))

    async def reconcile(self) -> None:
        """Serve the newest promotion that loads and passes the smoke check, if it is newer than the served one.

        Raises:
            Retry: the registry is unavailable. The served model stays.
        """
        if version := await asyncio.to_thread(self._registry.alias, CHAMPION):
            self._add(promotion_of_alias(version))
            self._adjust(version.number, version.run_id, AdjustedLevel.of_tag(version.tags.get(INTERVAL_LEVEL, "")))
        while promotion := self._next():
            await self._swap_to(promotion)
        if self._training == UNREAD:
            self._training = "no training has started"
        self._fault = self._refused.summary(self._served_seq)
        self._report()

    @property
    def _served_seq(self) -> int:
        return self._model.promotion.seq if self._model else -1

    def _next(self) -> Promotion | None:
        """The newest promotion to load, if it is newer than the served one. It may have arrived since the last load."""
        due = (each for each in self.promotions() if self._refused.may_be_tried(each.key))
        newest = next(due, None)
        return newest if newest and newest.seq > self._served_seq else None

    def _add(self, promotion: Promotion) -> bool:
        """Add a promotion. False if it is too old or not new: an event has causes, the registry's alias has none."""
        previous = self._promotions.get(promotion.key)
        if previous and (previous.causes or not promotion.causes):
            return False
        self._promotions[promotion.key] = promotion
        self._forget_old()
        if promotion.key not in self._promotions:
            return False
        model = self._model
        if model and model.promotion.key == promotion.key:
            self._model = replace(model, promotion=promotion)
        self._changed.set()
        self._settled.clear()
        return True

    def _adjust(self, version: int, run_id: str, level: AdjustedLevel | None) -> None:
        """Apply a level to the served version between two groups of requests, or to another one when it is loaded."""
        known = self._levels.pop((version, run_id), None)
        if latest := max((each for each in (known, level) if each), default=None):
            self._levels[version, run_id] = latest
        _forget_oldest(self._levels)
        if self._model and (model := self._at_level(self._model)) is not self._model:
            self._model = model
            log.info("intervals adjusted", version=model.version, interval_level=model.level)

    def _follow_market(self, update: LevelUpdated, time: datetime) -> None:
        """As `_adjust`, of the level of the market. Raises Reject: it is none."""
        key = update.version, update.run_id
        updates = LevelUpdates.after(self._updates.get(key), update, time)
        self._updates.pop(key, None)
        self._updates[key] = updates
        _forget_oldest(self._updates)
        if self._model and (model := self._at_level(self._model)) is not self._model:
            self._serve(model)
            log.info("level updated", version=model.version, **_level_of(model))

    def _at_level(self, model: LoadedModel) -> LoadedModel:
        """A model with the last known level of its version's intervals, and of its market."""
        key = model.version, model.promotion.version.run_id
        return model.at_level(self._levels.get(key)).after(self._updates.get(key))

    def _serve(self, model: LoadedModel) -> None:
        self._model = model
        VERSION.set(model.version)
        MARKET_LEVEL.set(model.market.factor if model.market else 0)

    def _forget_old(self) -> None:
        """Forget all but the newest MAX_HISTORY promotions."""
        for key in sorted(self._promotions, reverse=True)[MAX_HISTORY:]:
            del self._promotions[key]
            self._arrivals.pop(key, None)
            self._refused.forget(key)

    async def _swap_to(self, promotion: Promotion) -> None:
        """Load, check and serve a promotion, or refuse it. Raises Retry if the registry is unavailable."""
        try:
            model = await asyncio.to_thread(self._loader.load, promotion, self._smoke_check)
        except UnknownPromotion as error:
            self._drop(promotion, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever a broken model does, the served one stays
            if isinstance(error, Retry):
                # If the registry responds, the fault is that of this version's file.
                await asyncio.to_thread(self._registry.alias, CHAMPION)
            self._refuse(promotion, error)
            return
        fault_point("inference.checked")
        # The event may have arrived while the model was loaded.
        promotion = self._promotions.get(promotion.key, promotion)
        model = self._at_level(replace(model, promotion=promotion, loaded_at=self._clock()))
        previous = self._model
        self._serve(model)
        arrival = self._arrivals.pop(promotion.key, None)
        if previous and arrival:
            SWAP_SECONDS.observe(self._monotonic() - arrival.at)
        log.info("model swapped", version=model.version, seq=promotion.seq, **_level_of(model))

    def _smoke_check(self, predictor: Predictor) -> None:
        example, _ = self._dataset.convert(self._dataset.example)
        rows, served = list(self._recent_rows), self._model
        price, *prices = predictor.prices([example, *rows])
        before = served.predictor.prices(rows) if served and rows else []
        smoke_check(self._dataset, price, prices, before)

    def _refuse(self, promotion: Promotion, error: Exception) -> None:
        LOAD_FAILURES.inc()
        log.error("model refused", version=promotion.version.number, seq=promotion.seq, error=str(error))
        self._refused.add(promotion.key, f"version {promotion.version.number} is refused: {one_line(error)}")
        arrival = self._arrivals.pop(promotion.key, None)
        if arrival and not isinstance(error, OtherFeatures):  # the event is right: the dataset file changed
            self._letters.send(error, "the model does not load or fails its smoke check", arrival.record)

    def _drop(self, promotion: Promotion, error: UnknownPromotion) -> None:
        """Forget a promotion that the registry does not know, and look at the others again: it may have hidden them."""
        log.error("promotion not followed", version=promotion.version.number, seq=promotion.seq, error=str(error))
        self._promotions.pop(promotion.key, None)
        self._refused.forget(promotion.key)
        if arrival := self._arrivals.pop(promotion.key, None):
            self._letters.send(error, error.reason, arrival.record)
        self._changed.set()

    def _report(self) -> None:
        """Show on /readyz the served version or why there is none, and the fault that the last reconciliation found."""
        if self._model:
            self._health.set_available("model")
            self._health.set_warning("digest", "" if self._model.verified else UNVERIFIED)
            self._health.set_activity(_joined(f"serving {self._dataset.name} {self._model.version}", self._fault))
        else:
            self._health.set_unavailable("model", _joined(f"no model yet: {self._training}", self._fault))


def _forget_oldest(by_version: dict[tuple[int, str], Any]) -> None:
    """Forget all but the MAX_HISTORY versions that were set last."""
    for oldest in [*by_version][:-MAX_HISTORY]:
        del by_version[oldest]


def _level_of(model: LoadedModel) -> dict[str, float]:
    """The level of the market for a line of the log. Nothing without a market."""
    return {"market_level": round(model.market.factor, 4), "level_seq": model.market.state.seq} if model.market else {}


def _joined(state: str, fault: str) -> str:
    return f"{state}; {fault}" if fault else state
