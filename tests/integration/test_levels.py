"""The level of the market in drift as a process, on Kafka, MariaDB and MLflow."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from catboost import CatBoostRegressor

from support.batches import publish_batch
from support.drift_models import reference_of
from support.faulty import kills
from support.markets import LEARNT, MARKET, market_levels, market_rows
from support.models import Models
from support.replay import replay
from support.testbed import Testbed, wait_until
from veleta.events.catalogue import (
    AcceptLevel,
    CommandAccepted,
    CommandAnswer,
    LevelUpdated,
    PinLevel,
    ResetLevel,
)
from veleta.ports import CHAMPION, Version
from veleta.reference import REFERENCE_FILE
from veleta.tables import checkpoints, drift_reports
from veleta.tables import market_levels as table
from veleta_local.errors import LocalError
from veleta_local.send_command import send_command

ROWS = 300
BATCH_FAULT_POINTS = ("drift.decided", "drift.stored", "outbox.published", "processor.prepared")
"""Where drift may be killed while the level follows a batch."""


@pytest.fixture(scope="module")
def dataset_text() -> str:
    return MARKET


@pytest.fixture(scope="module")
def models(testbed: Testbed) -> Models:
    """Two versions that learnt batch 0, of which the first one is the champion."""
    found = Models(testbed)
    rows = market_rows(0, 600)
    for scale in (1.0, 1.1):
        version = found.register(scale, _add_market, rows)
        _log_reference(found, version, testbed)
    found.registry.set_alias(CHAMPION, 1)
    return found


def _add_market(path: Path) -> None:
    model = CatBoostRegressor().load_model(str(path))
    market_levels().save(model.get_metadata())
    model.save_model(str(path))


def _log_reference(models: Models, version: Version, testbed: Testbed) -> None:
    place = Path(REFERENCE_FILE)
    path = testbed.folder / place.name
    reference_of(testbed.dataset, market_rows(0, 600)).model_copy(update={"last": (1, 0)}).write(path)
    models.log_artifact(version, path, str(place.parent))


def publish(testbed: Testbed, number: int, factor: float = 1.0) -> None:
    """A batch of the month `number` after those of the training."""
    publish_batch(testbed.log, testbed.dataset, 1, number, market_rows(LEARNT - 1 + number, ROWS, number, factor))


def updates(testbed: Testbed) -> list[LevelUpdated]:
    """The published updates, without those that were published again."""
    found = {event.id: event.payload for event in testbed.events("levels")}
    return [each for each in found.values() if isinstance(each, LevelUpdated)]


def wait_for_updates(testbed: Testbed, count: int) -> list[LevelUpdated]:
    wait_until(lambda: len(updates(testbed)) >= count, 60, f"{count} updates")
    return updates(testbed)


def stored(testbed: Testbed) -> list[tuple[object, ...]]:
    rows = testbed.sql(sa.select(table).order_by(table.c.seq))
    return [(row.seq, row.version, row.outcome, row.value, row.cause, row.actor) for row in rows]


def told(each: LevelUpdated) -> tuple[object, ...]:
    return each.seq, each.version, each.outcome, each.value, each.cause, each.actor


def send(testbed: Testbed, kind: type[PinLevel] | type[AcceptLevel] | type[ResetLevel], **fields: float) -> str:
    try:
        return send_command(testbed.kafka_as("operator"), kind, testbed.dataset.name, **fields)
    except LocalError as refusal:
        return str(refusal)


def test_each_batch_moves_the_level_of_the_champion(testbed: Testbed, models: Models) -> None:
    """From the batch after those that it learnt. Each update is in the topic and in the table."""
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        for number in range(3):
            publish(testbed, number)
        wait_for_updates(testbed, 2)
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 3, 60, "three reports")
    found = updates(testbed)
    assert [(each.seq, each.number) for each in found] == [(1, 1), (2, 2)]
    assert stored(testbed) == [told(each) for each in found]
    assert found[0].cause == f"{testbed.dataset.name}/1/1/closed"


def test_a_person_changes_the_level(testbed: Testbed, models: Models) -> None:
    """By commands, as make level sends them. One without an effect is refused."""
    before = len(updates(testbed))
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        assert send(testbed, PinLevel, factor=1.07).startswith("the level of version 1 is pinned at 1.07 times")
        assert send(testbed, AcceptLevel) == "refused: the level of version 1 waits for nothing"
        assert send(testbed, ResetLevel).startswith("the level of version 1 is as at the end of its training")
    pinned, reset = updates(testbed)[before:]
    assert [(pinned.outcome, pinned.pinned), (reset.outcome, reset.pinned)] == [("pinned", True), ("reset", False)]
    assert pinned.actor
    assert stored(testbed) == [told(each) for each in updates(testbed)]


@pytest.mark.failure("F467")
def test_a_kill_at_each_place_leaves_one_update_for_each_batch(testbed: Testbed, models: Models) -> None:
    """And one event id. An event may be published twice."""
    before = len(updates(testbed))
    with testbed.service("drift", "drift", faults=kills(BATCH_FAULT_POINTS)) as drift:
        for number in range(3, 3 + len(BATCH_FAULT_POINTS)):
            publish(testbed, number)
        drift.run_until(lambda: not drift.faults(), 120, "every kill")
        drift.run_until(lambda: len(updates(testbed)) == before + len(BATCH_FAULT_POINTS), 60, "every update")
    found = updates(testbed)
    assert [each.number for each in found[before:]] == [3, 4, 5, 6]
    assert [each.seq for each in found] == list(range(1, len(found) + 1))
    assert stored(testbed) == [told(each) for each in found]


@pytest.mark.failure("F467")
def test_a_kill_leaves_one_effect_and_one_reply_of_a_command(testbed: Testbed, models: Models) -> None:
    """After the effect is stored, or after the reply."""
    for point in ("drift.stored", "drift.replied"):
        before = len(updates(testbed))
        with testbed.service("drift", "drift", faults=kills([point])) as drift:
            drift.wait_until_ready()
            kind = PinLevel if point == "drift.stored" else ResetLevel
            fields = {"factor": 1.2} if kind is PinLevel else {}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("veleta.commands.REPLY_TIMEOUT", 5.0)
                send(testbed, kind, **fields)
            drift.run_until(lambda: not drift.faults(), 60, "the kill")
            drift.run_until(lambda before=before: len(updates(testbed)) == before + 1, 60, "the update")  # type: ignore[misc]  # mypy infers no lambda with a default
            (update,) = updates(testbed)[before:]

            def replies(cause: str = update.cause) -> list[CommandAnswer]:
                payloads = [event.payload for event in testbed.events("commands")]
                return [each for each in payloads if isinstance(each, CommandAnswer) and each.command == cause]

            drift.run_until(replies, 60, "the reply")
        assert {type(each) for each in replies()} == {CommandAccepted}


def test_a_new_champion_follows_at_once(testbed: Testbed, models: Models) -> None:
    """All batches that it missed, without a further one."""
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        version = models.registry.version(2)
        assert version
        models.registry.set_alias(CHAMPION, 2)
        models.announce(version, 2)
        wait_until(lambda: sum(each.version == 2 for each in updates(testbed)) == 6, 60, "the missed batches")
    assert [each.number for each in updates(testbed) if each.version == 2] == [1, 2, 3, 4, 5, 6]


def test_a_level_that_would_move_too_far_waits_for_a_person(testbed: Testbed, models: Models) -> None:
    """The report names it as a finding, and requests no training because of it."""
    before = len(updates(testbed))
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        publish(testbed, 7, factor=1.5)
        wait_for_updates(testbed, before + 1)
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 8, 60, "the report")
        assert updates(testbed)[-1].outcome == "waiting"
        (report,) = testbed.sql(sa.select(drift_reports).where(drift_reports.c.number == 7))
        assert "the level waits" in report.findings
        assert "accepted: level +" in send(testbed, AcceptLevel)
    assert updates(testbed)[-1].value == updates(testbed)[-2].waiting


@pytest.mark.failure("F468")
def test_wiped_levels_are_restored_from_the_topic(testbed: Testbed, models: Models) -> None:
    """Each update as it was, and none is published again. A replay of the reports is equal."""
    before, published = testbed.sql(sa.select(table)), len(testbed.events("levels"))
    with testbed.admin.begin() as connection:
        for each in (table, checkpoints):
            connection.execute(sa.delete(each))
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        wait_until(lambda: len(testbed.sql(sa.select(table))) == len(before), 60, "the levels")
        publish(testbed, 8)
        wait_for_updates(testbed, len(before) + 1)
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 9, 60, "the report")
    after = testbed.sql(sa.select(table).order_by(table.c.seq))
    assert [row[:-1] for row in after[:-1]] == [row[:-1] for row in sorted(before)]
    assert len(testbed.events("levels")) == published + 1
    done = replay(testbed)
    assert done.stdout.endswith("equal\n"), done.stdout + done.stderr
