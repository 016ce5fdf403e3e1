"""A model that is served and a journal, in memory, for tests of how requests are answered."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from veleta.dataset import Values, load_dataset
from veleta.errors import Retry
from veleta.features import FEATURE_VERSION, Feature
from veleta.ports import Version
from veleta.predictor import FEATURES, Predictor
from veleta.service.health import ServiceHealth
from veleta_inference.adapters.explainer_pool import Explainers
from veleta_inference.adapters.guard import Guard
from veleta_inference.adapters.http import pages
from veleta_inference.adapters.request_adapter import Asking
from veleta_inference.domain.promotions import Promotion, Served
from veleta_inference.domain.requests import Reader
from veleta_inference.handlers import Predicting
from veleta_inference.refusals import Refusals

DATASET = load_dataset("real_estate")
BODY_LIMIT = 10_000
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Beds:
    """A model that says 1 more than the number of beds, and fails at a house of 13."""

    feature_names_ = ("bed",)

    def __init__(self) -> None:
        self.asked: list[int] = []

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(FEATURE_VERSION)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        self.asked.append(len(data))
        beds = [float(bed) for (bed,) in data]
        if 13.0 in beds:
            raise ValueError("thirteen")
        return [bed + 1 for bed in beds]


class Serving:
    """Version 7, or none."""

    def __init__(self) -> None:
        self.model = Beds()
        self.away = False

    @property
    def served(self) -> Served:
        if self.away:
            raise Retry("model", "no version is promoted yet")
        return Served(self.known()[0], Predictor(DATASET, self.model), NOW, Path("model.cbm"), Path())

    def known(self) -> list[Promotion]:
        return [Promotion(Version(7, "run", {}), 3, {})]


class Gate:
    """A journal that is full when told, and stands still while its gate is shut."""

    def __init__(self) -> None:
        self.groups: list[list[dict[str, Any]]] = []
        self.full = self.busy = False
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def keep(self, lines: Sequence[bytes]) -> None:
        assert not self.busy, "one group after the other"
        self.busy = True
        self.entered.set()
        await self.gate.wait()
        self.busy = False
        if self.full:
            raise Retry("journal", "full")
        self.groups.append([json.loads(line) for line in lines])


@dataclass
class Front:
    """The service's pages on a model and journals in memory; `predicting.work` answers."""

    digests: Sequence[str] = ()
    client_limit: int = 10
    body_seconds: float = 5.0
    serving: Serving = field(default_factory=Serving)
    answered: Gate = field(default_factory=Gate)
    refused: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        health, recent = ServiceHealth("inference"), deque[Values](maxlen=1)
        self.predicting = Predicting(DATASET, self.serving, self.answered, health, lambda: NOW, 100, recent)
        self.pages = self._pages()

    def _pages(self) -> web.Application:
        asking = Asking(self.predicting, Reader(DATASET, 10), DATASET, lambda: NOW, self.body_seconds)
        guard = Guard(self.digests, self.client_limit)
        explainers = Explainers("real_estate", 1, 1.0)
        return pages(asking, explainers, guard, Refusals(self.refused), BODY_LIMIT, lambda: NOW)
