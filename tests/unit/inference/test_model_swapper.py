"""ModelSwapper: the newest promotion that passes the smoke check is served, in whatever order promotions arrive."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from support.dataset_changes import CHANGES
from support.swaps import DATASET, MODELS, NOW, Swaps
from support.testbed import wait_until
from veleta.errors import Retry
from veleta.events.catalogue import TrainingFailed, TrainingProgress
from veleta.events.envelope import Event, Message, encode
from veleta.intervals import AdjustedLevel
from veleta.ports import DECISION, INTERVAL_LEVEL, NATIVE, SEQ, Version
from veleta.processing.tail import tail
from veleta_inference import model_swapper
from veleta_inference.domain.interval_predictor import IntervalPredictor
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.refused_promotions import FIRST_PAUSE_SECONDS
from veleta_inference.model_loader import ModelLoader
from veleta_inference.model_swapper import MAX_HISTORY

TRAINING = "real_estate.training"
SWAP_SECONDS = "veleta_model_swap_duration_seconds_sum"


def _training(kind: type[TrainingProgress | TrainingFailed], **fields: object) -> Message:
    payload = kind(request_id="real_estate/1/0/retrain", **fields)
    return encode(TRAINING, Event("t", "trainer", NOW, payload))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0)


@pytest.fixture
def swaps(tmp_path: Path) -> Swaps:
    return Swaps(tmp_path)


async def test_without_a_promotion_there_is_no_model(swaps: Swaps) -> None:
    """/readyz says that no training has started only when the registry was read: after a restart it may be down."""
    assert swaps.health.unavailable["model"] == "no model yet: the registry was not yet read"
    await swaps.reconcile()
    with pytest.raises(Retry, match="no model yet: no training has started"):
        _ = swaps.swapper.model
    assert "model" in swaps.health.unavailable


async def test_while_there_is_no_model_the_training_is_shown(swaps: Swaps) -> None:
    """The reason follows each event; an event that cannot be read changes nothing."""
    rubbish = Message(TRAINING, "k", (), b"rubbish")
    swaps.log.publish([_training(TrainingProgress, phase="fitting", done=120, of=500), rubbish])
    swaps.swapper.handle_training(list(swaps.log.read(TRAINING, 0, 0, 1)))
    assert swaps.health.unavailable["model"] == "no model yet: training 1/0 is at tree 120 of 500"
    swaps.log.publish([_training(TrainingFailed, reason="12 rows are too few")])
    swaps.swapper.handle_training(list(swaps.log.read(TRAINING, 0, 2, 2)))
    with pytest.raises(Retry, match="no model yet: training 1/0 failed: 12 rows are too few"):
        _ = swaps.swapper.model
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    swaps.swapper.handle_training(list(swaps.log.read(TRAINING, 0, 0, 0)))
    assert swaps.health.activity == "serving real_estate 1"
    assert not swaps.health.unavailable.keys() & {"model"}


async def test_an_unavailable_registry_is_shown_only_while_it_is(swaps: Swaps, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a model. The next successful reconciliation removes it."""
    monkeypatch.setattr(model_swapper, "RETRY_SECONDS", 0.001)
    calls = iter([False, True, True, False, True])

    def alias(_alias: str) -> None:
        if not next(calls, True):
            raise Retry("mlflow", "connection refused")

    monkeypatch.setattr(swaps.registry, "alias", alias)
    running = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600))
    await _until(
        lambda: swaps.health.unavailable["model"].endswith("not yet read; the registry (mlflow) is unavailable")
    )
    await _until(lambda: swaps.health.unavailable["model"] == "no model yet: no training has started")
    swaps.promote(swaps.version("11"), 2)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 0, 0)))
    await _until(lambda: swaps.health.activity == "serving real_estate 1")
    swaps.promote(swaps.version("12"), 1)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 1, 1)))
    await _until(lambda: swaps.health.activity == "serving real_estate 1; the registry (mlflow) is unavailable")
    await _until(lambda: swaps.health.activity == "serving real_estate 1")
    running.cancel()


async def test_the_highest_sequence_number_is_served(swaps: Swaps) -> None:
    """A rollback promotes a lower version, with a higher sequence number."""
    first, second = swaps.version("11"), swaps.version("12")
    swaps.promote(second, 1)
    swaps.promote(first, 2)
    await swaps.reconcile()
    assert swaps.served == (first.number, 2)
    assert "model" not in swaps.health.unavailable
    assert swaps.health.activity == "serving real_estate 1"


@pytest.mark.failure("F121")
async def test_a_lower_or_equal_sequence_number_is_ignored(swaps: Swaps) -> None:
    """An event that arrives late or twice does not restore an old model."""
    first, second = swaps.version("11"), swaps.version("12")
    swaps.promote(second, 5)
    await swaps.reconcile()
    swaps.promote(first, 5)
    swaps.promote(first, 4)
    await swaps.reconcile()
    assert swaps.served == (second.number, 5)


@pytest.mark.failure("F20")
@pytest.mark.parametrize("content", ["rubbish", "nan", "1e9", "-1e9"])
async def test_a_broken_model_is_not_served(swaps: Swaps, content: str) -> None:
    """It does not load, or its price of the example is not a positive number. The served model stays."""
    good, broken = swaps.version("11"), swaps.version(content)
    swaps.promote(good, 1)
    await swaps.reconcile()
    swaps.promote(broken, 2)
    await swaps.reconcile()
    await swaps.reconcile()
    assert swaps.served == (good.number, 1)
    assert "version 2 is refused" in swaps.health.activity
    assert not {"model"} & swaps.health.unavailable.keys()
    assert swaps.dead_letters == 1


@pytest.mark.failure("F123")
async def test_rows_of_recent_requests_are_checked_too(swaps: Swaps) -> None:
    """If most of their prices are out of bounds, the served model stays."""
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    swaps.recent_rows.append({**DATASET.convert(DATASET.example)[0], "bed": 40.0})
    swaps.promote(swaps.version("bed"), 2)
    await swaps.reconcile()
    assert swaps.served == (1, 1)
    assert "out of bounds: 1 of 1 recent rows" in swaps.health.activity


@pytest.mark.failure("F124")
async def test_a_refused_model_is_loaded_again(swaps: Swaps) -> None:
    """Its file may have been repaired."""
    version = swaps.version("rubbish")
    swaps.promote(version, 1)
    await swaps.reconcile()
    assert "version 1 is refused" in swaps.health.unavailable["model"]
    swaps.repair(version)
    swaps.now += FIRST_PAUSE_SECONDS
    await swaps.swapper.reconcile()
    assert swaps.served == (version.number, 1)


@pytest.mark.failure("F124")
async def test_a_refused_model_whose_version_is_deleted_hides_no_other(swaps: Swaps) -> None:
    """The one before it is loaded again, and /readyz no longer names it."""
    first, second = swaps.version("rubbish"), swaps.version("rubbish")
    swaps.promote(first, 1)
    swaps.promote(second, 2)
    await swaps.reconcile()
    swaps.registry.delete(second.number)
    swaps.repair(first)
    swaps.now += FIRST_PAUSE_SECONDS
    await swaps.swapper.reconcile()
    assert swaps.served == (first.number, 1)
    assert swaps.health.activity == "serving real_estate 1"


FORGED: Mapping[str, Callable[[Version], tuple[Version, int]]] = {
    "an unknown version": lambda version: (replace(version, number=99), 10**9),
    "another run": lambda version: (replace(version, run_id="other"), 10**9),
    "a sequence number of its own": lambda version: (version, 10**9),
    "the number of the next promotion": lambda version: (version, 2),
    "another model": lambda version: (replace(version, tags={NATIVE: "models:/other"}), 1),
}
"""A forged promotion by the version that is served: version and sequence number."""


@pytest.mark.failure("F369")
@pytest.mark.parametrize("kind", FORGED)
async def test_a_promotion_that_the_registry_does_not_know_is_not_followed(swaps: Swaps, kind: str) -> None:
    """It is one dead letter. True promotions are followed, before it and after it, also by a new process."""
    first, second = swaps.version("11"), swaps.version("12")
    swaps.publish(*FORGED[kind](first))
    swaps.promote(first, 1)
    await swaps.reconcile()
    await swaps.swapper.reconcile()
    assert swaps.served == (first.number, 1)
    assert swaps.dead_letters == 1
    swaps.promote(second, 2)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 2, 2)))
    await swaps.swapper.reconcile()
    assert swaps.served == (second.number, 2)
    assert swaps.health.activity == "serving real_estate 2"


@pytest.mark.failure("F369")
async def test_a_rejected_version_is_not_served(swaps: Swaps) -> None:
    """The registry knows its run and its number, and that it lost the comparison."""
    first, worse = swaps.version("11"), swaps.version("12")
    swaps.promote(first, 1)
    swaps.registry.set_tag(worse.number, DECISION, "rejected: not better")
    swaps.promote(worse, 2)
    await swaps.reconcile()
    assert swaps.served == (first.number, 1)
    assert swaps.dead_letters == 1


@pytest.mark.failure("F369")
async def test_many_forged_promotions_do_not_hide_the_champion(swaps: Swaps) -> None:
    """More than are remembered. The registry has the champion, whatever the topic has."""
    version = swaps.version("11")
    swaps.promote(version, 1)
    swaps.registry.set_alias("champion", version.number)
    for number in range(2 * MAX_HISTORY):
        swaps.publish(replace(version, number=99), 10**9 + number)
    running = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600))
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 0, 1000)))
    await _until(lambda: swaps.health.activity == "serving real_estate 1")
    running.cancel()


@pytest.mark.failure("F395")
async def test_a_deleted_champion_is_served_after_a_restart(swaps: Swaps) -> None:
    """The trainer recorded it. A version that was never promoted is not taken for a deleted one."""
    previous, champion = swaps.version("11"), swaps.version("12")
    swaps.promote(previous, 1)
    swaps.promote(champion, 2)
    known = swaps.registry.version(champion.number)
    assert known is not None
    swaps.registry.record_champion(known)
    swaps.registry.delete(champion.number)
    swaps.publish(replace(champion, number=3), 3)
    await swaps.reconcile()
    assert swaps.served == (champion.number, 2)
    assert swaps.dead_letters == 1


@pytest.mark.failure("F397")
async def test_the_duration_of_a_swap_does_not_follow_the_clock(swaps: Swaps) -> None:
    """The trainer's clock, which is in the event, may be another one. It counts from the arrival of the event."""
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    before = REGISTRY.get_sample_value(SWAP_SECONDS) or 0.0
    swaps.promote(swaps.version("12"), 2)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 1, 1)))
    swaps.now += 1.5
    await swaps.swapper.reconcile()
    assert REGISTRY.get_sample_value(SWAP_SECONDS) == pytest.approx(before + 1.5)


@pytest.mark.failure("F280")
async def test_many_broken_promotions_are_each_loaded_once(swaps: Swaps) -> None:
    """Then only the newest is loaded again, after pauses that grow. The last good one is served from the start."""
    swaps.promote(swaps.version("11"), 1)
    for seq in range(2, 52):
        swaps.promote(swaps.version("rubbish"), seq)
    await swaps.reconcile()
    assert swaps.served == (1, 1)
    assert swaps.registry.downloads == Counter(range(1, 52))
    for _ in range(120):
        swaps.now += 30
        await swaps.reconcile()
    assert {number for number, count in swaps.registry.downloads.items() if count > 1} == {51}
    assert swaps.registry.downloads[51] < 10
    assert swaps.health.activity.startswith("serving real_estate 1; version 51 is refused: ")
    assert swaps.health.activity.endswith("; earlier refusals: 49")
    assert swaps.dead_letters == 50


@pytest.mark.failure("F281")
async def test_a_version_whose_file_cannot_be_read_is_refused(swaps: Swaps) -> None:
    """The registry responds, so it is not unavailable. The version before it is served, and the file read again."""
    good, unreadable = swaps.version("11"), swaps.version("12")
    swaps.registry.unreadable = {unreadable.number}
    swaps.promote(good, 1)
    swaps.promote(unreadable, 2)
    await swaps.reconcile()
    assert swaps.served == (good.number, 1)
    assert swaps.health.activity == "serving real_estate 1; version 2 is refused: mlflow: 500 Internal Server Error"
    swaps.registry.unreadable = set()
    swaps.now += FIRST_PAUSE_SECONDS
    await swaps.reconcile()
    assert swaps.served == (unreadable.number, 2)


async def test_no_version_is_refused_because_the_registry_is_unavailable(swaps: Swaps) -> None:
    """It is loaded as soon as the registry responds, without a pause."""
    version = swaps.version("11")
    swaps.promote(version, 1)
    swaps.registry.unreadable = {version.number}

    def unavailable_from_now(*arguments: object) -> Path:
        swaps.registry.unavailable = True
        raise Retry("mlflow", "connection refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swaps.registry, "download_native", unavailable_from_now)
        with pytest.raises(Retry, match="connection refused"):
            await swaps.reconcile()
    swaps.registry.unavailable, swaps.registry.unreadable = False, set()
    await swaps.reconcile()
    assert swaps.served == (version.number, 1)
    assert swaps.dead_letters == 0


@pytest.mark.failure("F282")
async def test_the_newest_promotions_are_known(swaps: Swaps) -> None:
    """MAX_HISTORY, however many there were and in whatever order they are read."""
    version = swaps.version("rubbish")
    for seq in (*range(300, 0, -1), *range(301, 601)):
        swaps.promote(version, seq)
    await swaps.reconcile()
    assert [promotion.seq for promotion in swaps.swapper.promotions()] == list(range(600, 600 - MAX_HISTORY, -1))
    assert swaps.dead_letters == MAX_HISTORY


@pytest.mark.failure("F283")
async def test_the_file_of_a_model_is_deleted_with_its_last_response(swaps: Swaps) -> None:
    """An explanation that began before a swap still reads it."""
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    response = swaps.swapper.model
    for seq in (2, 3):
        swaps.promote(swaps.version("12"), seq)
        await swaps.reconcile()
    assert response.path.exists()
    file = response.path
    del response
    assert not file.exists()
    assert swaps.swapper.model.path.exists()
    # The thread that loaded the second model may still hold it for a moment.
    wait_until(lambda: len(list(file.parents[1].iterdir())) == 1)


async def test_after_a_restart_the_newest_valid_model_is_served(swaps: Swaps) -> None:
    """A broken champion must not leave a new process without a model."""
    swaps.promote(swaps.version("11"), 1)
    swaps.promote(swaps.version("12"), 2)
    swaps.promote(swaps.version("rubbish"), 3)
    await swaps.reconcile()
    assert swaps.served == (2, 2)
    assert swaps.health.activity.startswith("serving real_estate 2; version 3 is refused: ")


@pytest.mark.failure("F19")
async def test_an_alias_without_an_event_is_served_and_explained_later(swaps: Swaps) -> None:
    """The alias is enough if the event is late. The event adds the causes, and the model is not loaded again."""
    version = swaps.version("11")
    swaps.registry.set_tag(version.number, "seq", "3")
    swaps.registry.set_alias("champion", version.number)
    await swaps.reconcile()
    assert swaps.served == (version.number, 3)
    before = swaps.swapper.model
    assert before.promotion.causes is None
    swaps.promote(version, 3)
    await swaps.reconcile()
    after = swaps.swapper.model
    assert after.promotion.causes is not None
    assert after.predictor is before.predictor


async def test_an_alias_without_a_number_is_served_only_when_nothing_is(swaps: Swaps) -> None:
    """An alias that was moved by hand has no sequence number until the trainer sets one."""
    first, second = swaps.version("11"), swaps.version("12")
    swaps.registry.set_alias("champion", first.number)
    await swaps.reconcile()
    assert swaps.served == (first.number, 0)
    swaps.promote(first, 1)
    await swaps.reconcile()
    swaps.registry.set_alias("champion", second.number)
    await swaps.reconcile()
    assert swaps.served == (first.number, 1)


async def test_a_record_that_cannot_be_read_is_dead_lettered(swaps: Swaps) -> None:
    """The promotions after it are handled."""
    swaps.log.publish([Message(MODELS, "k", (), b"rubbish")])
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    assert swaps.served == (1, 1)
    assert swaps.dead_letters == 1


@pytest.mark.failure("F266")
async def test_a_model_of_another_feature_definition_is_not_served(tmp_path: Path) -> None:
    """The reason is on /readyz. It is no dead letter: the promotion is right, and the dataset file changed after it."""
    swaps = Swaps(tmp_path, dataset=CHANGES["unit of the target"].dataset())
    version = swaps.version("11")
    swaps.registry.dataset_files[version.run_id] = DATASET.text
    swaps.promote(version, 1)
    await swaps.reconcile()
    reason = "version 1 is refused: the model learnt from other features: price had unit = USD, now EUR"
    assert reason in swaps.health.unavailable["model"]
    assert swaps.dead_letters == 0


@pytest.mark.failure("F266")
async def test_the_last_good_model_is_served_if_the_next_learnt_from_other_features(swaps: Swaps) -> None:
    """The trainer has the changed dataset file already, and inference does not. /readyz shows it."""
    swaps.promote(swaps.version("11"), 1)
    await swaps.reconcile()
    swaps.promote(swaps.version("prefix"), 2)
    await swaps.reconcile()
    assert swaps.served == (1, 1)
    reason = "version 2 is refused: the model learnt from other features: zip_code had prefix = 2, now 3"
    assert swaps.health.activity == f"serving real_estate 1; {reason}"
    assert swaps.dead_letters == 0


async def test_a_promotion_that_arrives_meanwhile_is_loaded_before_older_ones(
    swaps: Swaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of the dataset file all older ones may be refused, and each is downloaded."""
    for seq in range(1, 4):
        swaps.promote(swaps.version("prefix"), seq)
    download = swaps.registry.download_native

    def download_while_another_arrives(version: Version, folder: Path) -> Path:
        if version.number == 3:
            swaps.promote(swaps.version("11"), 4)
            swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 3, 3)))
        return download(version, folder)

    monkeypatch.setattr(swaps.registry, "download_native", download_while_another_arrives)
    await swaps.reconcile()
    assert swaps.served == (4, 4)
    assert swaps.registry.downloads == Counter({3: 1, 4: 1})


@pytest.mark.failure("F266")
@pytest.mark.parametrize("kind", ["bounds", "column added", "unit of the target"])
async def test_an_old_model_is_served_if_nothing_shows_another_definition(tmp_path: Path, kind: str) -> None:
    """The dataset file of its training is the same in what matters, or its run has no recipe."""
    swaps = Swaps(tmp_path, dataset=CHANGES[kind].dataset())
    version = swaps.version("11")
    if not CHANGES[kind].model_refuses:
        swaps.registry.dataset_files[version.run_id] = DATASET.text
    swaps.promote(version, 1)
    await swaps.reconcile()
    assert swaps.served == (1, 1)


async def test_a_promotion_is_served_at_once(swaps: Swaps) -> None:
    """The event wakes the task before the next check of the registry."""
    running = asyncio.create_task(swaps.swapper.run(reconcile_seconds=3600))
    following = asyncio.create_task(tail([MODELS], swaps.log, swaps.health, swaps.swapper.handle))
    await asyncio.sleep(0)
    swaps.promote(swaps.version("11"), 1)
    async with asyncio.timeout(5):
        while "model" in swaps.health.unavailable:  # noqa: ASYNC110 - the readiness has no event to wait for
            await asyncio.sleep(0.01)
    swaps.health.stopping.set()
    running.cancel()
    await following
    assert swaps.served == (1, 1)


async def test_an_adjusted_level_is_applied_to_the_served_version(swaps: Swaps) -> None:
    """At once, without another load. The record of an earlier batch that is read later changes nothing."""
    version = swaps.version("11")
    swaps.promote(version, 1)
    await swaps.reconcile()
    assert swaps.level is None
    loaded = swaps.swapper.model.loaded_at
    for number, level in ((2, 0.9), (1, 0.7)):
        swaps.adjust(version, number, level)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 1, 2)))
    assert swaps.level == AdjustedLevel(1, 2, 0.9)
    assert swaps.swapper.model.loaded_at == loaded
    assert swaps.registry.downloads[version.number] == 1
    assert swaps.dead_letters == 0


@pytest.mark.failure("F449")
async def test_the_rows_of_a_version_count_for_its_estimate_only(swaps: Swaps) -> None:
    """Each load begins again. What only changes about the served version, such as its level, does not."""
    first = swaps.version("11")
    swaps.promote(first, 1)
    await swaps.reconcile()
    window = swaps.swapper.model.window
    swaps.adjust(first, 1, 0.9)
    await swaps.reconcile()
    assert swaps.level == AdjustedLevel(1, 1, 0.9)
    assert swaps.swapper.model.window is window
    swaps.promote(swaps.version("12"), 2)
    await swaps.reconcile()
    assert swaps.swapper.model.window is not window


async def test_each_version_is_served_at_its_own_level(swaps: Swaps) -> None:
    """Also after a rollback, and if its event arrived before its promotion. A version of another run has none."""
    first, second = swaps.version("11"), swaps.version("12")
    swaps.promote(first, 1)
    swaps.adjust(first, 1, 0.9)
    swaps.adjust(second, 2, 0.6)
    swaps.adjust(Version(first.number, "another run"), 3, 0.5)
    await swaps.reconcile()
    assert swaps.level == AdjustedLevel(1, 1, 0.9)
    swaps.promote(second, 2)
    await swaps.reconcile()
    assert swaps.level == AdjustedLevel(1, 2, 0.6)
    swaps.promote(first, 3)
    await swaps.reconcile()
    assert swaps.level == AdjustedLevel(1, 1, 0.9)


@pytest.mark.failure("F433")
async def test_a_new_process_serves_the_level_of_the_tag(swaps: Swaps, tmp_path: Path) -> None:
    """Without Kafka too, by the alias. A missed event is made up for by a later tag, and a damaged tag is ignored."""
    version = swaps.version("11")
    swaps.registry.set_tag(version.number, SEQ, "1")
    swaps.registry.set_tag(version.number, INTERVAL_LEVEL, str(AdjustedLevel(1, 4, 0.85)))
    swaps.registry.set_alias("champion", version.number)
    restarted = Swaps(tmp_path, before=swaps)
    await restarted.reconcile()
    assert restarted.level == AdjustedLevel(1, 4, 0.85)
    for tag, expected in ((str(AdjustedLevel(1, 5, 0.9)), AdjustedLevel(1, 5, 0.9)), ("?", AdjustedLevel(1, 5, 0.9))):
        swaps.registry.set_tag(version.number, INTERVAL_LEVEL, tag)
        await restarted.reconcile()
        assert restarted.level == expected


async def test_a_level_that_arrives_while_its_version_is_loaded_is_applied(
    swaps: Swaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag that the load read is older."""
    version = swaps.version("11")
    swaps.registry.set_tag(version.number, INTERVAL_LEVEL, str(AdjustedLevel(1, 1, 0.81)))
    swaps.promote(version, 1)
    swaps.adjust(version, 2, 0.9)
    load_checked = ModelLoader.load

    def load(loader: ModelLoader, promotion: Promotion, check: Callable[[IntervalPredictor], object]) -> LoadedModel:
        model = load_checked(loader, promotion, check)
        assert model.adjusted == AdjustedLevel(1, 1, 0.81)
        swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 1, 1)))
        return model

    monkeypatch.setattr(ModelLoader, "load", load)
    swaps.swapper.handle(list(swaps.log.read(MODELS, 0, 0, 0)))
    await swaps.swapper.reconcile()
    assert swaps.level == AdjustedLevel(1, 2, 0.9)


async def test_the_levels_of_many_versions_have_a_bound(swaps: Swaps) -> None:
    """As promotions have."""
    for number in range(1, MAX_HISTORY + 10):
        swaps.adjust(Version(number, "run"), 1, 0.9)
    await swaps.reconcile()
    assert len(swaps.swapper._levels) == MAX_HISTORY
