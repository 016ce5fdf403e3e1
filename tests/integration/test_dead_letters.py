"""Dead letters from the failure to the shell, and one sent again."""

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.world import World, eventually
from veleta.tables import batches, dataset_tables, drift_reports
from veleta_local.dead import DeadLetters
from veleta_local.errors import LocalError


def test_a_dead_letter_is_read_and_sent_again_once(world: World) -> None:
    """A table that was broken and mended: the batch is loaded after all; drift, which had no trouble, takes it once."""
    letters = DeadLetters(world.bootstrap, world.dataset.name)
    assert list(letters.listing()) == ["no dead letters"]
    name = f"{world.dataset.name}.batches/0/1/dead/loader"
    with world.service("loader", "loader") as loader, world.service("drift", "drift") as drift:
        loader.ready()
        drift.ready()
        _alter(world, "DROP COLUMN rest")
        publish_batch(world.log, world.dataset, 1, 0, list(api_rows(0, 50, 1)))
        eventually(lambda: _states(world) == ["refused"], 60, "the batch is refused")
        eventually(lambda: world.events("deadletter"), 60, "its dead letter")
        [shown] = letters.listing()
        assert shown.startswith(f"{name}\n")
        assert "loader could not process: ProgrammingError" in shown or "OperationalError" in shown
        assert "Unknown column" in shown
        _alter(world, "ADD COLUMN rest JSON")
        assert letters.resend(name) == f"sent again to loader: {world.dataset.name}.batches 2"
        eventually(lambda: _states(world) == ["loaded"], 60, "the batch is loaded")
        publish_batch(world.log, world.dataset, 1, 1, list(api_rows(5, 50, 2)))
        eventually(lambda: len(world.sql(sa.select(drift_reports))) == 2, 60, "drift goes on")
    assert len(world.sql(sa.select(dataset_tables(world.dataset).raw))) == 100
    assert [event.id.rsplit("/", 2)[1] for event in world.events("drift")] == ["0", "1"]
    assert "(sent again)" in next(iter(letters.listing()))
    with pytest.raises(LocalError, match="sent again before"):
        letters.resend(name)


def test_a_letter_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    """The operator copies the right one."""
    letters = DeadLetters(world.bootstrap, world.dataset.name)
    with pytest.raises(
        LocalError, match=f"no such dead letter; there are: {world.dataset.name}.batches/0/1/dead/loader"
    ):
        letters.resend("nothing")


def _alter(world: World, what: str) -> None:
    with world.admin.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE `{world.prefix}RAW_DATA`.`{world.dataset.name}` {what}")


def _states(world: World) -> list[str]:
    return [row.state for row in world.sql(sa.select(batches).order_by(batches.c.number))][:1]
