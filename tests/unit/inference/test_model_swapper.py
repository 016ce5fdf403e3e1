"""ModelSwapper: the newest promotion that passes the smoke check is served, in whatever order promotions arrive."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.twins.shared import MemoryLog, MemoryRegistry
from veleta.dataset import Values, load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import Causes, ModelPromoted, TrainingFailed, TrainingProgress
from veleta.events.envelope import Event, Message, encode
from veleta.features import FEATURE_VERSION, Feature
from veleta.ports import NATIVE, Version
from veleta.predictor import FEATURES
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta_inference import model_swapper
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.model_swapper import ModelSwapper

DATASET = load_dataset("real_estate")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MODELS, TRAINING = "real_estate.models", "real_estate.training"


class Constant:
    """A model that predicts the same logarithm of a price for every row."""

    def __init__(self, value: float) -> None:
        self._value = value
        self.feature_names_ = ["bed"]

    def get_metadata(self) -> dict[str, str]:
        return {FEATURES: str(FEATURE_VERSION)}

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [self._value] * len(data)


class Beds(Constant):
    """A model that predicts the number of beds plus 8."""

    def predict(self, data: Sequence[Sequence[Feature]]) -> list[float]:
        return [8 + float(bed) for (bed,) in data]


def load(path: Path) -> Constant:
    """Load a model file of these tests. It contains the number that the model predicts, or `bed`."""
    content = path.read_text()
    return Beds(0) if content == "bed" else Constant(float(content))


class Setup:
    """A ModelSwapper with a log and a registry in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = MemoryLog()
        self.registry = MemoryRegistry()
        self.health = ServiceHealth("inference")
        self.letters = DeadLetterPublisher(self.log, DATASET.name, self.health, lambda: NOW)
        self.recent_rows: list[Values] = []
        files = folder / "files"
        files.mkdir(exist_ok=True)
        self.swapper = ModelSwapper(
            DATASET, self.registry, load, self.letters, self.health, lambda: NOW, files, self.recent_rows
        )

    def version(self, content: str) -> Version:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.cbm"
        path.write_text(content)
        return self.registry.register(path.stem, "", {NATIVE: str(path)})

    def repair(self, version: Version) -> None:
        Path(version.tags[NATIVE]).write_text("11")

    def promote(self, version: Version, seq: int) -> None:
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

    async def reconcile(self) -> None:
        """Read the whole topic, and reconcile."""
        self.swapper.handle(list(self.log.read(MODELS, 0, 0, 1000)))
        await self.swapper.reconcile()
        await self.letters.drain()

    @property
    def served(self) -> tuple[int, int]:
        model = self.swapper.model
        return model.version, model.promotion.seq

    @property
    def dead_letters(self) -> int:
        return len(self.log.topics.get("real_estate.deadletter", []))


def _training(kind: type[TrainingProgress | TrainingFailed], **fields: object) -> Message:
    payload = kind(request_id="real_estate/1/0/retrain", **fields)
    return encode(TRAINING, Event("t", "trainer", NOW, payload))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


async def test_without_a_promotion_there_is_no_model(setup: Setup) -> None:
    """/readyz shows that no version is promoted."""
    await setup.reconcile()
    with pytest.raises(Retry, match="no model yet: no training has started"):
        _ = setup.swapper.model
    assert "model" in setup.health.unavailable


async def test_while_there_is_no_model_the_training_is_shown(setup: Setup) -> None:
    """The reason follows each event; an event that cannot be read changes nothing."""
    rubbish = Message(TRAINING, "k", (), b"rubbish")
    setup.log.publish([_training(TrainingProgress, phase="fitting", done=120, of=500), rubbish])
    setup.swapper.handle_training(list(setup.log.read(TRAINING, 0, 0, 1)))
    assert setup.health.unavailable["model"] == "no model yet: training 1/0 is at tree 120 of 500"
    setup.log.publish([_training(TrainingFailed, reason="12 rows are too few")])
    setup.swapper.handle_training(list(setup.log.read(TRAINING, 0, 2, 2)))
    with pytest.raises(Retry, match="no model yet: training 1/0 failed: 12 rows are too few"):
        _ = setup.swapper.model
    setup.promote(setup.version("11"), 1)
    await setup.reconcile()
    setup.swapper.handle_training(list(setup.log.read(TRAINING, 0, 0, 0)))
    assert setup.health.activity == "serving real_estate 1"
    assert not setup.health.unavailable.keys() & {"model"}


async def test_an_unavailable_registry_is_shown_only_while_it_is(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a model. The next successful reconciliation removes it."""
    monkeypatch.setattr(model_swapper, "RETRY_SECONDS", 0.001)
    calls = iter([False, True, True, False, True])

    def alias(_alias: str) -> None:
        if not next(calls, True):
            raise Retry("mlflow", "connection refused")

    monkeypatch.setattr(setup.registry, "alias", alias)
    running = asyncio.create_task(setup.swapper.run(reconcile_seconds=3600))
    await _until(lambda: setup.health.unavailable["model"].endswith("started; the registry (mlflow) is unavailable"))
    await _until(lambda: setup.health.unavailable["model"] == "no model yet: no training has started")
    setup.promote(setup.version("11"), 2)
    setup.swapper.handle(list(setup.log.read(MODELS, 0, 0, 0)))
    await _until(lambda: setup.health.activity == "serving real_estate 1")
    setup.promote(setup.version("12"), 1)
    setup.swapper.handle(list(setup.log.read(MODELS, 0, 1, 1)))
    await _until(lambda: setup.health.activity == "serving real_estate 1; the registry (mlflow) is unavailable")
    await _until(lambda: setup.health.activity == "serving real_estate 1")
    running.cancel()


async def test_the_highest_sequence_number_is_served(setup: Setup) -> None:
    """A rollback promotes a lower version, with a higher sequence number."""
    first, second = setup.version("11"), setup.version("12")
    setup.promote(second, 1)
    setup.promote(first, 2)
    await setup.reconcile()
    assert setup.served == (first.number, 2)
    assert "model" not in setup.health.unavailable
    assert setup.health.activity == "serving real_estate 1"


@pytest.mark.failure("F121")
async def test_a_lower_or_equal_sequence_number_is_ignored(setup: Setup) -> None:
    """An event that arrives late or twice does not restore an old model."""
    first, second = setup.version("11"), setup.version("12")
    setup.promote(second, 5)
    await setup.reconcile()
    setup.promote(first, 5)
    setup.promote(first, 4)
    await setup.reconcile()
    assert setup.served == (second.number, 5)


@pytest.mark.failure("F20")
@pytest.mark.parametrize("content", ["rubbish", "nan", "1e9", "-1e9"])
async def test_a_broken_model_is_not_served(setup: Setup, content: str) -> None:
    """It does not load, or its price of the example is not a positive number. The served model stays."""
    good, broken = setup.version("11"), setup.version(content)
    setup.promote(good, 1)
    await setup.reconcile()
    setup.promote(broken, 2)
    await setup.reconcile()
    await setup.reconcile()
    assert setup.served == (good.number, 1)
    assert "version 2 is refused" in setup.health.activity
    assert not {"model"} & setup.health.unavailable.keys()
    assert setup.dead_letters == 1


@pytest.mark.failure("F123")
async def test_rows_of_recent_requests_are_checked_too(setup: Setup) -> None:
    """If most of their prices are out of bounds, the served model stays."""
    setup.promote(setup.version("11"), 1)
    await setup.reconcile()
    setup.recent_rows.append({**DATASET.convert(DATASET.example)[0], "bed": 40.0})
    setup.promote(setup.version("bed"), 2)
    await setup.reconcile()
    assert setup.served == (1, 1)
    assert "out of bounds: 1 of 1 recent rows" in setup.health.activity


@pytest.mark.failure("F124")
async def test_a_refused_model_is_loaded_again(setup: Setup) -> None:
    """Its file may have been repaired."""
    version = setup.version("rubbish")
    setup.promote(version, 1)
    await setup.reconcile()
    assert "version 1 is refused" in setup.health.unavailable["model"]
    setup.repair(version)
    await setup.swapper.reconcile()
    assert setup.served == (version.number, 1)


async def test_after_a_restart_the_newest_valid_model_is_served(setup: Setup) -> None:
    """A broken champion must not leave a new process without a model."""
    setup.promote(setup.version("11"), 1)
    setup.promote(setup.version("12"), 2)
    setup.promote(setup.version("rubbish"), 3)
    await setup.reconcile()
    assert setup.served == (2, 2)
    assert setup.health.activity.startswith("serving real_estate 2; version 3 is refused: ")


@pytest.mark.failure("F19")
async def test_an_alias_without_an_event_is_served_and_explained_later(setup: Setup) -> None:
    """The alias is enough if the event is late. The event adds the causes, and the model is not loaded again."""
    version = setup.version("11")
    setup.registry.set_tag(version.number, "seq", "3")
    setup.registry.set_alias("champion", version.number)
    await setup.reconcile()
    assert setup.served == (version.number, 3)
    before = setup.swapper.model
    assert before.promotion.causes is None
    setup.promote(version, 3)
    await setup.reconcile()
    after = setup.swapper.model
    assert after.promotion.causes is not None
    assert after.predictor is before.predictor


async def test_an_alias_without_a_number_is_served_only_when_nothing_is(setup: Setup) -> None:
    """An alias that was moved by hand has no sequence number until the trainer sets one."""
    first, second = setup.version("11"), setup.version("12")
    setup.registry.set_alias("champion", first.number)
    await setup.reconcile()
    assert setup.served == (first.number, 0)
    setup.promote(first, 1)
    await setup.reconcile()
    setup.registry.set_alias("champion", second.number)
    await setup.reconcile()
    assert setup.served == (first.number, 1)


async def test_a_record_that_cannot_be_read_is_dead_lettered(setup: Setup) -> None:
    """The promotions after it are handled."""
    setup.log.publish([Message(MODELS, "k", (), b"rubbish")])
    setup.promote(setup.version("11"), 1)
    await setup.reconcile()
    assert setup.served == (1, 1)
    assert setup.dead_letters == 1


async def test_a_promotion_is_served_at_once(setup: Setup) -> None:
    """The event wakes the task before the next check of the registry."""
    running = asyncio.create_task(setup.swapper.run(reconcile_seconds=3600))
    following = asyncio.create_task(tail([MODELS], setup.log, setup.health, setup.swapper.handle))
    await asyncio.sleep(0)
    setup.promote(setup.version("11"), 1)
    async with asyncio.timeout(5):
        while "model" in setup.health.unavailable:  # noqa: ASYNC110 - the readiness has no event to wait for
            await asyncio.sleep(0.01)
    setup.health.stopping.set()
    running.cancel()
    await following
    assert setup.served == (1, 1)
