"""The loader, a real process on real Kafka and MariaDB."""

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from support.batches import publish_batch, send
from support.listings import api_rows
from support.records import message
from support.world import World, eventually
from veleta.events.catalogue import BatchOpened
from veleta.tables import batches, dataset_tables
from veleta.topics import topic


def line(world: World, epoch: int, number: int) -> Any:
    """A batch's line in the ledger."""
    query = sa.select(batches).where(batches.c.epoch == epoch, batches.c.number == number)
    return next(iter(world.sql(query)), None)


def loaded(world: World, epoch: int, number: int) -> bool:
    found = line(world, epoch, number)
    return found is not None and found.state == "loaded"


def keys(world: World, table: sa.Table) -> list[tuple[int, int, int]]:
    query = sa.select(table.c.epoch, table.c.number, table.c.row_no).order_by(*table.primary_key.columns)
    return [tuple(row) for row in world.sql(query)]


def rows_with_rest(world: World, table: sa.Table) -> int:
    """What SQL itself says: JSON's `null` would count too."""
    return int(world.sql(sa.select(sa.func.count()).where(table.c.rest.is_not(None)))[0][0])


@pytest.mark.failure("F26")
def test_rows_are_stored_as_received_and_cleaned(world: World) -> None:
    """Every value survives to the last bit; the rejected are counted.

    What does not fit is in `rest`, which is NULL where all fits.
    """
    tables = dataset_tables(world.dataset)
    rows: list[dict[str, Any]] = list(api_rows(0, 250, 1))
    rows[7] = {**rows[7], "price": "cheap", "colour": "red"}
    rows[8] = {**rows[8], "city": "x" * 300}
    rows[9] = {**rows[9], "acre_lot": 0.1 + 0.2, "city": "Añasco ☂"}
    publish_batch(world.log, world.dataset, 1, 0, rows)
    with world.service("loader", "loader") as loader:
        loader.ready()
        eventually(lambda: loaded(world, 1, 0), what="the batch is loaded")
    kept = world.sql(sa.select(tables.raw).order_by(tables.raw.c.row_no))
    assert [row.price for row in kept] == [row["price"] if i != 7 else None for i, row in enumerate(rows)]
    rests = {row.row_no: row.rest for row in kept if row.rest is not None}
    assert rests == {7: {"price": "cheap", "colour": "red"}, 8: {"city": "x" * 300}}
    assert rows_with_rest(world, tables.raw) == len(rests)
    assert (kept[9].acre_lot, kept[9].city) == (0.1 + 0.2, "Añasco ☂")
    found = line(world, 1, 0)
    assert (found.received, found.cleaned, found.rejected) == (250, 248, {"price: no value": 1, "city: no value": 1})
    assert len(keys(world, tables.clean)) == 248


@pytest.mark.failure("F36")
def test_a_kill_in_the_middle_of_loading_doubles_and_loses_nothing(world: World) -> None:
    """kill -9 while a batch is half written: after the next start every row is there once."""
    tables = dataset_tables(world.dataset)
    with world.service("loader", "loader") as loader:
        loader.ready()
        publish_batch(world.log, world.dataset, 2, 0, list(api_rows(0, 6000, 2)))
        eventually(lambda: _inserting(world, tables.raw), 30, "the loader inserts")
        loader.kill()
        assert not loaded(world, 2, 0), "the kill came too late to prove anything"
        loader.start()
        eventually(lambda: loaded(world, 2, 0), what="the batch is loaded")
    assert keys(world, tables.raw) == [(2, 0, n) for n in range(6000)]
    assert Counter(key[0] for key in keys(world, tables.clean)) == {2: line(world, 2, 0).cleaned}


def _inserting(world: World, table: sa.Table) -> bool:
    """Whether a transaction that nobody committed yet has rows in the table."""
    with world.admin.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        return bool(connection.scalar(sa.select(table.c.epoch).where(table.c.epoch == 2).limit(1)))


@pytest.mark.failure("F08")
def test_a_new_epoch_clears_or_keeps_the_old_rows(world: World) -> None:
    """ON_NEW_EPOCH: `keep` leaves the old rows where they are, `clear` deletes them before the first new row."""
    tables = dataset_tables(world.dataset)
    rows = api_rows(0, 120, 3)
    with world.service("loader", "loader", on_new_epoch="keep") as loader:
        loader.ready()
        publish_batch(world.log, world.dataset, 3, 0, list(rows))
        eventually(lambda: loaded(world, 3, 0), what="epoch 3 is loaded")
    assert {key[0] for key in keys(world, tables.raw)} == {2, 3}
    with world.service("loader", "loader", on_new_epoch="clear") as loader:
        loader.ready()
        publish_batch(world.log, world.dataset, 4, 0, list(rows))
        eventually(lambda: loaded(world, 4, 0), what="epoch 4 is loaded")
    assert {key[0] for key in keys(world, tables.raw)} == {4}
    assert {key[0] for key in keys(world, tables.clean)} == {4}
    assert loaded(world, 2, 0), "the ledger is never cleared"


@pytest.mark.failure("F10")
def test_a_poison_batch_is_dead_lettered_and_the_stream_goes_on(world: World) -> None:
    """The batch is refused as a whole, with a dead letter; the next one is loaded."""
    publish_batch(world.log, world.dataset, 4, 1, list(api_rows(0, 120, 4)), digest="wrong")
    publish_batch(world.log, world.dataset, 4, 2, list(api_rows(0, 120, 5)))
    with world.service("loader", "loader") as loader:
        loader.ready()
        eventually(lambda: loaded(world, 4, 2), what="the batch after it is loaded")
    assert line(world, 4, 1).state == "refused"
    letters = [e.payload for e in world.events("deadletter")]
    assert [letter.model_dump()["reason"] for letter in letters] == ["the manifest does not match"]
    assert {key[1] for key in keys(world, dataset_tables(world.dataset).raw)} == {0, 2}


@pytest.mark.failure("F11")
def test_a_manifest_that_cannot_be_read_leaves_its_batch_abandoned(world: World) -> None:
    """Its batch was opened; when the next one opens it is given up, and that one is loaded."""
    opened = BatchOpened(dataset=world.dataset.name, epoch=9, number=0, rows=5, digest="d")
    with world.service("loader", "loader") as loader:
        loader.ready()
        send(world.log, world.dataset, "batches", opened, "opened")
        world.log.publish([message(topic(world.dataset.name, "batches"), value=b"{")])
        publish_batch(world.log, world.dataset, 9, 1, list(api_rows(0, 20, 5)))
        eventually(lambda: states_of(world, 9) == {0: "abandoned", 1: "loaded"}, what="the next batch is loaded")


def states_of(world: World, epoch: int) -> dict[int, str]:
    return {row.number: row.state for row in world.sql(sa.select(batches).where(batches.c.epoch == epoch))}
