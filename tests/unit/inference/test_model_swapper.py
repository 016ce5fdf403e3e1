"""Which model is served: the newest that proves itself, whatever arrives in whatever order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.twins.shared import MemoryLog, MemoryRegistry
from veleta.dataset import Values, load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import Causes, ModelPromoted
from veleta.events.envelope import Event, Message, encode
from veleta.features import FEATURE_VERSION, Feature
from veleta.ports import NATIVE, Version
from veleta.predictor import FEATURES
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.model_swapper import Champion

DATASET = load_dataset("real_estate")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MODELS = "real_estate.models"


class Constant:
    """A model that says the same for every row, the logarithm of a price."""

    def __init__(self, value: float) -> None:
        self._value = value
        self.feature_names_ = ["bed"]

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(FEATURE_VERSION)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [self._value] * len(data)


class Beds(Constant):
    """A model that says 8 more than the number of beds."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [8 + float(bed) for (bed,) in data]


def load(path: Path) -> Constant:
    """A model file of these tests holds the number that the model says, or `bed`."""
    said = path.read_text()
    return Beds(0) if said == "bed" else Constant(float(said))


class Stage:
    """A champion on parts in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = MemoryLog()
        self.registry = MemoryRegistry()
        self.health = ServiceHealth("inference")
        self.letters = DeadLetterPublisher(self.log, DATASET.name, self.health, lambda: NOW)
        self.recent: list[Values] = []
        files = folder / "files"
        files.mkdir(exist_ok=True)
        self.champion = Champion(
            DATASET, self.registry, load, self.letters, self.health, lambda: NOW, files, self.recent
        )

    def version(self, content: str) -> Version:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.cbm"
        path.write_text(content)
        return self.registry.register(path.stem, "", {NATIVE: str(path)})

    def mend(self, version: Version) -> None:
        Path(version.tags[NATIVE]).write_text("11")

    def promoted(self, version: Version, seq: int) -> None:
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

    async def look(self) -> None:
        """Read the whole topic, and settle."""
        self.champion.take(list(self.log.read(MODELS, 0, 0, 1000)))
        await self.champion.settle()
        await self.letters.drain()

    @property
    def serving(self) -> tuple[int, int]:
        served = self.champion.served
        return served.version, served.promotion.seq

    @property
    def dead(self) -> int:
        return len(self.log.topics.get("real_estate.deadletter", []))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_without_a_promotion_there_is_no_model(stage: Stage) -> None:
    """Nothing is served until somebody promoted something, and /readyz says so."""
    await stage.look()
    with pytest.raises(Retry, match="no version is promoted yet"):
        _ = stage.champion.served
    assert "model" in stage.health.unavailable


async def test_the_greatest_sequence_number_is_served(stage: Stage) -> None:
    """Versions go down on a rollback; the sequence never does."""
    first, second = stage.version("11"), stage.version("12")
    stage.promoted(second, 1)
    stage.promoted(first, 2)
    await stage.look()
    assert stage.serving == (first.number, 2)
    assert "model" not in stage.health.unavailable
    assert stage.health.activity == "serving real_estate 1"


async def test_a_sequence_number_not_above_its_own_is_ignored(stage: Stage) -> None:
    """An event that comes late or twice does not bring an old model back."""
    first, second = stage.version("11"), stage.version("12")
    stage.promoted(second, 5)
    await stage.look()
    stage.promoted(first, 5)
    stage.promoted(first, 4)
    await stage.look()
    assert stage.serving == (second.number, 5)


@pytest.mark.parametrize("content", ["rubbish", "nan", "1e9", "-1e9"])
async def test_a_model_that_does_not_prove_itself_is_not_served(stage: Stage, content: str) -> None:
    """It does not load, or its price for the example is no number, or zero: the one before it serves on."""
    good, broken = stage.version("11"), stage.version(content)
    stage.promoted(good, 1)
    await stage.look()
    stage.promoted(broken, 2)
    await stage.look()
    await stage.look()
    assert stage.serving == (good.number, 1)
    assert "version 2 is refused" in stage.health.activity
    assert not {"model"} & stage.health.unavailable.keys()
    assert stage.dead == 1


@pytest.mark.failure("F20")
async def test_the_last_requests_are_tried_too(stage: Stage) -> None:
    """A model that gives most of them a price out of bounds is not served; the one before it stays."""
    stage.promoted(stage.version("11"), 1)
    await stage.look()
    stage.recent.append({**DATASET.convert(DATASET.example)[0], "bed": 40.0})
    stage.promoted(stage.version("bed"), 2)
    await stage.look()
    assert stage.serving == (1, 1)
    assert "out of bounds: 1 of 1 of the last requests" in stage.health.activity


@pytest.mark.failure("F20")
async def test_a_refused_model_is_tried_again(stage: Stage) -> None:
    """What was broken may be mended."""
    version = stage.version("rubbish")
    stage.promoted(version, 1)
    await stage.look()
    assert "version 1 is refused" in stage.health.unavailable["model"]
    stage.mend(version)
    await stage.champion.settle()
    assert stage.serving == (version.number, 1)


async def test_after_a_restart_the_newest_that_proves_itself_is_served(stage: Stage) -> None:
    """A broken champion must not leave a fresh process without a model."""
    stage.promoted(stage.version("11"), 1)
    stage.promoted(stage.version("12"), 2)
    stage.promoted(stage.version("rubbish"), 3)
    await stage.look()
    assert stage.serving == (2, 2)


async def test_an_alias_without_an_event_is_served_and_explained_later(stage: Stage) -> None:
    """A lost or late event heals; the causes come with it, and the model is not loaded again."""
    version = stage.version("11")
    stage.registry.set_tag(version.number, "seq", "3")
    stage.registry.set_alias("champion", version.number)
    await stage.look()
    assert stage.serving == (version.number, 3)
    before = stage.champion.served
    assert before.promotion.causes is None
    stage.promoted(version, 3)
    await stage.look()
    after = stage.champion.served
    assert after.promotion.causes is not None
    assert after.predictor is before.predictor


async def test_an_alias_without_a_number_is_served_only_when_nothing_is(stage: Stage) -> None:
    """Moved by hand, it has no place in the sequence until the trainer gives it one."""
    first, second = stage.version("11"), stage.version("12")
    stage.registry.set_alias("champion", first.number)
    await stage.look()
    assert stage.serving == (first.number, 0)
    stage.promoted(first, 1)
    await stage.look()
    stage.registry.set_alias("champion", second.number)
    await stage.look()
    assert stage.serving == (first.number, 1)


async def test_a_record_that_cannot_be_read_is_a_dead_letter(stage: Stage) -> None:
    """Nothing is dropped in silence, and the promotions after it count."""
    stage.log.publish([Message(MODELS, "k", (), b"rubbish")])
    stage.promoted(stage.version("11"), 1)
    await stage.look()
    assert stage.serving == (1, 1)
    assert stage.dead == 1


async def test_a_promotion_is_acted_on_at_once(stage: Stage) -> None:
    """The event wakes the task that keeps the champion; nobody waits for the next look at the registry."""
    keeping = asyncio.create_task(stage.champion.keep(every=3600))
    following = asyncio.create_task(tail([MODELS], stage.log, stage.health, stage.champion.take))
    await asyncio.sleep(0)
    stage.promoted(stage.version("11"), 1)
    async with asyncio.timeout(5):
        while "model" in stage.health.unavailable:  # noqa: ASYNC110 - /readyz is what one can look at
            await asyncio.sleep(0.01)
    stage.health.stopping.set()
    keeping.cancel()
    await following
    assert stage.serving == (1, 1)
