"""What the poller reads from its topic `batches` at a start."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support.batches import publish_batch
from support.history import Where, histories, next_batch, publish_old_batches
from support.poller import DATASET, Scene, batch
from veleta.events.catalogue import BatchClosed, DatasetDeclared

BATCHES = "real_estate.batches"


@histories
@pytest.mark.failure("F244")
async def test_a_start_and_a_batch_cost_the_same_after_any_history(
    scene: Scene, tmp_path: Path, old: int, where: Where
) -> None:
    """The topic is read once. Then the state on disk has the offset after the last manifest."""
    publish_old_batches(scene.log, DATASET, old, where)
    number = next_batch(old, where)[1] if where == "the running epoch" else 7
    await scene.run(batch(number), batch(number + 1))
    assert scene.log.read_records.pop(BATCHES) >= 2 * old
    again = scene.crashed(tmp_path / "second")
    await again.run(batch(number + 2), batch(number + 3))
    assert again.log.read_records[BATCHES] == 0
    assert [each.number for each in again.published(BatchClosed)[-4:]] == [*range(number, number + 4)]
    assert len(again.published(DatasetDeclared)) == 1


async def test_what_was_published_before_a_crash_is_read(scene: Scene, tmp_path: Path) -> None:
    """The state on disk is older than the topic."""
    await scene.run(batch(0))
    before = scene.crashed(tmp_path / "second")
    await scene.crashed(tmp_path / "third").run(batch(1))
    scene.log.read_records.clear()
    await before.run(batch(1), batch(2))
    assert scene.log.read_records[BATCHES] == 2
    assert before.closed() == [(1, 0), (1, 1), (1, 2)]
    assert len(before.published(BatchClosed)) == 3


@pytest.mark.failure("F04")
async def test_a_topic_that_was_recreated_is_read_from_its_start(scene: Scene, tmp_path: Path) -> None:
    """The dataset is declared in it, and the position stays."""
    await scene.run(batch(0), batch(1))
    scene.log.topics[BATCHES].clear()
    await scene.crashed(tmp_path / "second").run(batch(2))
    assert scene.closed() == [(1, 2)]
    assert len(scene.published(DatasetDeclared)) == 1


async def test_a_state_of_an_earlier_version_is_completed(scene: Scene, tmp_path: Path) -> None:
    """It has no offset: the topic is read from its start once, and the dataset is not declared again."""
    await scene.run(batch(0), batch(1))
    older = scene.crashed(tmp_path / "second")
    position = older.folder / "position.json"
    position.write_text(_without_topic(position.read_text()))
    await older.run(batch(2))
    assert older.closed() == [(1, 0), (1, 1), (1, 2)]
    assert len(older.published(DatasetDeclared)) == 1


def _without_topic(text: str) -> str:
    document = json.loads(text)
    del document["topic"]
    return json.dumps(document)


@pytest.mark.failure("F358")
async def test_a_forged_epoch_does_not_move_the_poller(scene: Scene, tmp_path: Path) -> None:
    """The next batch follows the last real one, also after a start without the state on disk."""
    await scene.run(batch(0))
    publish_batch(scene.log, DATASET, 1_000_000, 0, [{"price": 1.0}], digest="0" * 64)
    with capture_logs() as logs:
        await scene.crashed(tmp_path / "second").run(batch(1))
    assert [each["event"] for each in logs].count("event ignored: its batch does not follow") == 2
    lost = scene.crashed(tmp_path / "third")
    (lost.folder / "position.json").unlink()
    await lost.run(batch(2))
    closed = [(each.epoch, each.number) for each in lost.published(BatchClosed)]
    assert closed == [(1, 0), (1_000_000, 0), (1, 1), (1, 2)]
