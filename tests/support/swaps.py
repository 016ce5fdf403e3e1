"""A ModelSwapper with a log and a registry in memory, and models that predict constants."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from support.dataset_changes import CHANGES
from support.journals import MemoryJournal
from support.market_levels import LEARNT, level_message, level_updated
from support.twins.shared import MemoryLog, MemoryRegistry
from veleta.dataset import Dataset, Values, load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import Causes, IntervalsAdjusted, ModelPromoted
from veleta.events.envelope import Event, Record, encode
from veleta.feature_definition import FeatureDefinition
from veleta.features import FEATURE_VERSION, Feature
from veleta.intervals import AdjustedLevel
from veleta.ports import NATIVE, SEQ, Version
from veleta.predictor import FEATURES
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetterOutbox
from veleta_inference.model_swapper import ModelSwapper

DATASET = load_dataset("real_estate")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MODELS, LEVELS = "real_estate.models", "real_estate.levels"


class Constant:
    """A model that predicts the same logarithm of a price for every row."""

    def __init__(self, value: float) -> None:
        self._value = value
        self.feature_names_ = ["bed"]

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(FEATURE_VERSION)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [self._value] * len(data)

    def predict_with_sizes(self, data: Sequence[Sequence[Feature]]) -> tuple[list[float], list[float]]:
        """No test of swaps needs intervals."""
        raise NotImplementedError


class Beds(Constant):
    """A model that predicts the number of beds plus 8."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [8 + float(bed) for (bed,) in data]


class WithMarket(Constant):
    """A model with the levels of a market."""

    def get_metadata(self) -> dict[str, str]:
        metadata = super().get_metadata()
        LEARNT.save(metadata)
        return metadata


class OtherPrefix(Constant):
    """A model that learnt from a dataset file with another prefix."""

    def get_metadata(self) -> dict[str, str]:
        metadata = super().get_metadata()
        FeatureDefinition.of_dataset(CHANGES["prefix"].dataset()).save(metadata)
        return metadata


def load(path: Path) -> Constant:
    """Load a model file of these tests. It contains the number that the model predicts, or the name of a model."""
    content = path.read_text()
    named = {"bed": Beds(0), "prefix": OtherPrefix(11), "market": WithMarket(11)}
    return named.get(content) or Constant(float(content))


class CountingRegistry(MemoryRegistry):
    """A registry that counts downloads. The files of some versions cannot be read, or nothing can."""

    def __init__(self) -> None:
        super().__init__()
        self.downloads: Counter[int] = Counter()
        self.unreadable: set[int] = set()
        self.unavailable = False

    def alias(self, alias: str) -> Version | None:
        if self.unavailable:
            raise Retry("mlflow", "connection refused")
        return super().alias(alias)

    def download_native(self, version: Version, folder: Path) -> Path:
        self.downloads[version.number] += 1
        if version.number in self.unreadable:
            raise Retry("mlflow", "500 Internal Server Error")
        return super().download_native(version, folder)


class Swaps:
    """A ModelSwapper with a log and a registry in memory."""

    def __init__(
        self, folder: Path, log: MemoryLog | None = None, dataset: Dataset = DATASET, before: "Swaps | None" = None
    ) -> None:
        """A process that starts after `before` has its registry and its records of dead letters."""
        self.folder = folder
        self.log = log or MemoryLog()
        self.registry: CountingRegistry = before.registry if before else CountingRegistry()
        self.health = ServiceHealth("inference")
        self.dead = MemoryJournal()
        self.reported: set[Record] = before.reported if before else set()
        self.letters = DeadLetterOutbox(self.log, self.dead, self.reported, DATASET.name, self.health, lambda: NOW)
        self.recent_rows: list[Values] = []
        self.now = 0.0
        files = folder / "files"
        files.mkdir(exist_ok=True)
        self.swapper = ModelSwapper(
            dataset, self.registry, load, self.letters, self.health, lambda: NOW, files, self.recent_rows,
            lambda: self.now,
        )  # fmt: skip

    def version(self, content: str) -> Version:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.cbm"
        path.write_text(content)
        address = f"models:/{path.stem}"
        self.registry.files[address] = path
        return self.registry.register(path.stem, "", {NATIVE: address})

    def repair(self, version: Version) -> None:
        self.registry.files[version.tags[NATIVE]].write_text("11")

    def promote(self, version: Version, seq: int) -> None:
        """Promote a version in the registry, and publish it."""
        known = self.registry.version(version.number)
        assert known is not None
        self.registry.set_tag(version.number, SEQ, str(max(seq, known.seq)))
        self.publish(version, seq)

    def publish(self, version: Version, seq: int) -> None:
        """Publish a promotion, true or forged."""
        payload = ModelPromoted(
            model=DATASET.name,
            version=version.number,
            run_id=version.run_id,
            seq=seq,
            previous=None,
            reason="test",
            native=version.tags[NATIVE],
            metrics={},
            causes=Causes(training="t", request="r", report=None, reason="test", batches=[]),
        )
        self.log.publish([encode(MODELS, Event(f"p/{seq}", "trainer", NOW, payload))])

    def adjust(self, version: Version, number: int, level: float) -> None:
        """Publish the level of a version after a batch."""
        payload = IntervalsAdjusted(
            model=DATASET.name, version=version.number, run_id=version.run_id,
            epoch=1, number=number, rows=400, coverage=0.7, level_before=0.8, level=level,
        )  # fmt: skip
        self.log.publish([encode(MODELS, Event(f"i/{version.number}/{number}", "trainer", NOW, payload))])

    def update(self, version: Version, seq: int, as_of: date, value: float) -> None:
        """Publish the level of the market of a version."""
        self.log.publish([level_message(level_updated(version, seq, as_of, value))])

    @property
    def market_level(self) -> tuple[int, float]:
        """The last update of the served version's market, and its level."""
        market = self.swapper.model.market
        assert market is not None
        return market.state.seq, market.state.level.value

    @property
    def level(self) -> AdjustedLevel | None:
        """The level of the served version."""
        return self.swapper.model.adjusted

    async def reconcile(self) -> None:
        """Read the whole topic, and reconcile."""
        for topic in (MODELS, LEVELS):
            self.swapper.handle(list(self.log.read(topic, 0, 0, 1000)))
        await self.swapper.reconcile()
        await self.letters.drain()

    @property
    def served(self) -> tuple[int, int]:
        model = self.swapper.model
        return model.version, model.promotion.seq

    @property
    def dead_letters(self) -> int:
        return len(self.dead.lines)
