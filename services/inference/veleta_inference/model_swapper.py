"""Keeps the champion served: follows promotions, reconciles with the registry, exchanges one model for another."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.dataset import Dataset, Values
from veleta.errors import Reject, Retry
from veleta.events.catalogue import ModelPromoted
from veleta.events.envelope import Record, decode, is_for
from veleta.faults import fault_point
from veleta.ports import CHAMPION, Registry
from veleta.predictor import Booster, Predictor
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.domain.promotions import Promotion, Served, announced, found
from veleta_inference.domain.smoke_check import tried

log = structlog.get_logger()
VERSION = prometheus_client.Gauge(
    "veleta_model_version", "the lowest version that a process serves; 0: none", multiprocess_mode="livemin"
)
SWAPPED = prometheus_client.Histogram("veleta_swap_seconds", "from a promotion to serving it, in a process that serves")
REFUSED = prometheus_client.Counter("veleta_models_refused", "attempts to serve a version that did not prove itself")

HISTORY = 100
"""So many promotions are told of."""
AWAY_SECONDS = 2.0
"""How soon the registry is asked again after it was away."""


class Champion:
    """The model that answers. One task (`keep`) exchanges it, by one assignment; whoever answers takes it once."""

    def __init__(
        self,
        dataset: Dataset,
        registry: Registry,
        load: Callable[[Path], Booster],
        letters: DeadLetterPublisher,
        health: ServiceHealth,
        clock: Clock,
        files: Path,
        recent: Collection[Values] = (),
    ) -> None:
        """Models are brought into the folder `files`; `recent` are rows that were asked for lately."""
        self._dataset = dataset
        self._registry = registry
        self._load = load
        self._letters = letters
        self._health = health
        self._clock = clock
        self._recent = recent
        self._files = files
        self._served: Served | None = None
        self._known: dict[int, Promotion] = {}
        self._records: dict[int, Record] = {}
        self._news = asyncio.Event()
        health.set_unavailable("model", "no version is promoted yet")

    @property
    def served(self) -> Served:
        """The model that answers now. Raises Retry while there is none."""
        if self._served is None:
            raise Retry("model", self._health.unavailable.get("model", "there is none"))
        return self._served

    def known(self) -> Sequence[Promotion]:
        """The last HISTORY promotions that this process knows of, the newest first."""
        return [self._known[seq] for seq in sorted(self._known, reverse=True)[:HISTORY]]

    def take(self, records: Sequence[Record]) -> None:
        """Note the promotions among the records of `models`; `keep` acts on them at once."""
        for record in records:
            if not is_for(self._health.service, record):
                continue
            try:
                event = decode(record)
            except Reject as error:
                self._letters.send(error, error.reason, record)
                continue
            if isinstance(event.payload, ModelPromoted) and self._note(announced(event.payload, event.time)):
                self._records[event.payload.seq] = record

    async def keep(self, every: float) -> None:
        """Serve the newest promotion; look at the registry every so many seconds, and try again what failed."""
        while not self._health.stopping.is_set():
            self._news.clear()
            pause = every
            try:
                await self.settle()
            except Exception as error:  # noqa: BLE001 - whatever the registry answers, what is served stays
                log.warning("waiting", waits_for="mlflow", reason=str(error))
                self._say("the registry (mlflow) does not answer")
                pause = min(every, AWAY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)

    async def settle(self) -> None:
        """Serve the newest promotion that proves itself and is newer than the one served.

        Raises:
            Retry: the registry is away; what is served stays.
        """
        if alias := await asyncio.to_thread(self._registry.alias, CHAMPION):
            self._note(found(alias))
        for seq in sorted(self._known, reverse=True):
            if self._served and seq <= self._served.promotion.seq:
                return
            if await self._serve(seq):
                return

    def _note(self, promotion: Promotion) -> bool:
        """Keep what is known of a decision, and say whether it was news: an event says more than the registry."""
        known = self._known.get(promotion.seq)
        if known and (known.causes or not promotion.causes):
            return False
        self._known[promotion.seq] = promotion
        served = self._served
        if served and (served.promotion.seq, served.version) == (promotion.seq, promotion.version.number):
            self._served = replace(served, promotion=promotion)
        self._news.set()
        return True

    async def _serve(self, seq: int) -> bool:
        promotion = self._known[seq]
        try:
            served = await asyncio.to_thread(self._prove, promotion)
        except Retry:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a broken model does, the one before it serves on
            self._refuse(promotion, error)
            return False
        fault_point("inference.proved")
        before, self._served = self._served, replace(served, promotion=self._known[seq], loaded_at=self._clock())
        if before:
            shutil.rmtree(before.folder, ignore_errors=True)
            if promoted_at := self._served.promotion.promoted_at:
                SWAPPED.observe((self._served.loaded_at - promoted_at).total_seconds())
        self._records.pop(seq, None)
        VERSION.set(promotion.version.number)
        log.info("serving", version=promotion.version.number, seq=seq)
        self._health.set_available("model")
        self._say("")
        return True

    def _prove(self, promotion: Promotion) -> Served:
        """The promotion's model, after its prices were looked at."""
        folder = Path(tempfile.mkdtemp(dir=self._files))
        try:
            model = self._registry.download_native(promotion.version, folder)
            predictor = Predictor(self._dataset, self._load(model))
            self._try(predictor)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Served(promotion, predictor, self._clock(), model, folder)

    def _try(self, predictor: Predictor) -> None:
        example, _ = self._dataset.convert(self._dataset.example)
        recent, served = list(self._recent), self._served
        price, *others = predictor.prices([example, *recent])
        tried(self._dataset, price, others, served.predictor.prices(recent) if served and recent else [])

    def _refuse(self, promotion: Promotion, error: Exception) -> None:
        REFUSED.inc()
        reason = f"version {promotion.version.number} is refused: {error}"
        log.error("refused", version=promotion.version.number, seq=promotion.seq, error=str(error))
        self._say(reason)
        if record := self._records.pop(promotion.seq, None):
            self._letters.send(error, "the model does not load or fails its trial", record)

    def _say(self, trouble: str) -> None:
        if self._served:
            serving = f"serving {self._dataset.name} {self._served.version}"
            self._health.set_activity("; ".join(filter(None, [serving, trouble])))
        elif trouble:
            self._health.set_unavailable("model", trouble)
