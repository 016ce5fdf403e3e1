"""Inference with a model and journals in memory, for unit tests of its application."""

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from support.http import served
from veleta.dataset import Dataset, Values, load_dataset
from veleta.errors import Retry
from veleta.features import FEATURE_VERSION, Feature
from veleta.holdout_errors import HoldoutErrors
from veleta.intervals import Calibration
from veleta.market_levels import MarketLevels
from veleta.ports import Version
from veleta.predictor import FEATURES
from veleta.service.health import ServiceHealth
from veleta.training_values import TrainingValues
from veleta_inference.adapters.explainer_pool import ExplainerPool
from veleta_inference.adapters.guard import Guard
from veleta_inference.adapters.http import application
from veleta_inference.adapters.keyed_answers import KeyedAnswers
from veleta_inference.adapters.request_adapter import RequestAdapter
from veleta_inference.domain.error_window import ErrorWindow
from veleta_inference.domain.interval_predictor import IntervalPredictor
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.requests import RequestReader
from veleta_inference.domain.served_market import LevelUpdates, ServedMarket
from veleta_inference.domain.value_checks import ValueChecks
from veleta_inference.handlers import PredictionService
from veleta_inference.refusals import Refusals

DATASET = load_dataset("real_estate")
BODY_LIMIT = 100_000
MOST_BEDS = 20
"""The model in memory has learnt from houses with up to this many beds."""
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class BedsModel:
    """A model that predicts the number of beds plus 1, and fails at 13 beds."""

    feature_names_ = ("bed",)

    def __init__(self) -> None:
        self.calls: list[int] = []
        """The number of rows of each call."""
        self.calibration: Calibration | None = None
        """Without one, predictions have no interval."""
        self.market: MarketLevels | None = None
        """Without them, the model's prices are those of any day."""
        self.holdout_errors: HoldoutErrors | None = None
        """Without them, predictions have no expected error."""

    def get_metadata(self) -> dict[str, str]:
        metadata = {FEATURES: str(FEATURE_VERSION)}
        if self.calibration:
            self.calibration.save(metadata, b"")
        if self.holdout_errors:
            self.holdout_errors.save(metadata)
        if self.market:
            self.market.save(metadata)
        return metadata

    def predict_with_sizes(self, data: Sequence[Sequence[Feature]]) -> tuple[list[float], list[float]]:
        """Each size is 0.1."""
        return self.predict(data), [math.log(0.1)] * len(data)

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        self.calls.append(len(data))
        beds = [float(bed) for (bed,) in data]
        if 13.0 in beds:
            raise ValueError("thirteen")
        return [bed + 1 for bed in beds]


class MemoryProvider:
    """`ModelProvider` of version 7, or of no model."""

    def __init__(self) -> None:
        self.booster = BedsModel()
        self.dataset = DATASET
        self.updates: LevelUpdates | None = None
        self.has_model = True
        self.version = 7
        self.window = ErrorWindow(None)

    @property
    def model(self) -> LoadedModel:
        if not self.has_model:
            raise Retry("model", "no model yet: no training has started")
        checks = ValueChecks(DATASET, TrainingValues(ranges={"bed": (1, MOST_BEDS)}, texts={}))
        predictor = IntervalPredictor(self.dataset, self.booster)
        model = LoadedModel(
            self.promotions()[0], predictor, checks, self.window, NOW, Path("model.cbm"), "", verified=True,
            market=ServedMarket(predictor.market) if predictor.market else None,
        )  # fmt: skip
        return model.after(self.updates)

    def promotions(self) -> list[Promotion]:
        return [Promotion(Version(self.version, "run", {}), 3, {})]


class GatedJournal:
    """`JournalWriter` in memory. It can be full, and it blocks while its gate is closed."""

    def __init__(self) -> None:
        self.groups: list[list[dict[str, Any]]] = []
        self.full = self.appending = False
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, lines: Sequence[bytes]) -> None:
        assert not self.appending, "append is called concurrently"
        self.appending = True
        self.entered.set()
        await self.gate.wait()
        self.appending = False
        if self.full:
            raise Retry("journal", "full")
        self.groups.append([json.loads(line) for line in lines])


class MemoryAnswers:
    """`AnswerTable` in memory. It can be down."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.down = False

    async def insert(self, lines: Sequence[bytes]) -> None:
        await asyncio.sleep(0)
        self._check()
        for request in map(json.loads, lines):
            self.rows.setdefault(request["request_id"], request["items"])

    async def find(self, request_id: str) -> str | None:
        await asyncio.sleep(0)
        self._check()
        return self.rows[request_id][0].get("answer", "") if request_id in self.rows else None

    def _check(self) -> None:
        if self.down:
            raise Retry("mysql", "down")


@dataclass
class MemoryInference:
    """The application with a model and journals in memory. `service.run` must run so that it responds."""

    key_names: Mapping[str, str] = field(default_factory=dict)
    client_limit: int = 10
    body_seconds: float = 5.0
    items_limit: int = 10
    strict: bool = False
    dataset: Dataset = DATASET
    provider: MemoryProvider = field(default_factory=MemoryProvider)
    answered: GatedJournal = field(default_factory=GatedJournal)
    refused: GatedJournal = field(default_factory=GatedJournal)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)

    def __post_init__(self) -> None:
        health, recent_rows = ServiceHealth("inference"), deque[Values](maxlen=1)
        self.provider.dataset = self.dataset
        self.service = PredictionService(
            self.dataset, self.provider, self.answered, health, lambda: NOW, 100, recent_rows, strict=self.strict
        )
        self.application = self._application()

    def _application(self) -> web.Application:
        reader = RequestReader(self.dataset, self.items_limit)
        adapter = RequestAdapter(self.service, reader, lambda: NOW, self.body_seconds)
        guard = Guard(self.key_names, self.client_limit)
        explainers = ExplainerPool("real_estate", 1, 1.0)
        return application(
            adapter,
            KeyedAnswers(adapter, self.answers),
            explainers,
            guard,
            Refusals(self.refused),
            BODY_LIMIT,
            lambda: NOW,
        )


@contextmanager
def served_inference(inference: MemoryInference) -> Iterator[str]:
    """Serve the application while the block runs. Returns its URL."""

    async def running(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(inference.service.run())
        yield
        task.cancel()

    inference.application.cleanup_ctx.append(running)
    with served(inference.application) as url:
        yield url
