"""The loader as a process, on Kafka and MariaDB."""

import json
from collections import Counter
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.batches import publish_batch, send
from support.http import metric
from support.listings import api_rows
from support.records import message
from support.testbed import Testbed, http_status, wait_until
from veleta.events.catalogue import BatchOpened
from veleta.tables import batches, dataset_tables
from veleta.topics import topic


def entry(testbed: Testbed, epoch: int, number: int) -> Any:
    """The entry of a batch in the batch table."""
    query = sa.select(batches).where(batches.c.epoch == epoch, batches.c.number == number)
    return next(iter(testbed.sql(query)), None)


def loaded(testbed: Testbed, epoch: int, number: int) -> bool:
    row = entry(testbed, epoch, number)
    return row is not None and row.state == "loaded"


def keys(testbed: Testbed, table: sa.Table) -> list[tuple[int, int, int]]:
    query = sa.select(table.c.epoch, table.c.number, table.c.row_no).order_by(*table.primary_key.columns)
    return [tuple(row) for row in testbed.sql(query)]


def rows_with_rest(testbed: Testbed, table: sa.Table) -> int:
    """Rows whose `rest` is not NULL for SQL; JSON's `null` is not NULL."""
    return int(testbed.sql(sa.select(sa.func.count()).where(table.c.rest.is_not(None)))[0][0])


@pytest.mark.failure("F26", "F83")
def test_rows_are_stored_as_received_and_cleaned(testbed: Testbed) -> None:
    """Every value is exact, and rejected rows are counted by reason.

    A value that does not fit its column is in `rest`, which is NULL if all values fit.
    """
    tables = dataset_tables(testbed.dataset)
    rows: list[dict[str, Any]] = list(api_rows(0, 250, 1))
    rows[7] = {**rows[7], "price": "cheap", "colour": "red"}
    rows[8] = {**rows[8], "city": "x" * 300}
    rows[9] = {**rows[9], "acre_lot": 0.1 + 0.2, "city": "Añasco ☂"}
    publish_batch(testbed.log, testbed.dataset, 1, 0, rows)
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        wait_until(lambda: loaded(testbed, 1, 0), what="the batch is loaded")
    stored = testbed.sql(sa.select(tables.raw).order_by(tables.raw.c.row_no))
    assert [row.price for row in stored] == [row["price"] if i != 7 else None for i, row in enumerate(rows)]
    rests = {row.row_no: row.rest for row in stored if row.rest is not None}
    assert rests == {7: {"price": "cheap", "colour": "red"}, 8: {"city": "x" * 300}}
    assert rows_with_rest(testbed, tables.raw) == len(rests)
    assert (stored[9].acre_lot, stored[9].city) == (0.1 + 0.2, "Añasco ☂")
    row = entry(testbed, 1, 0)
    assert (row.received, row.cleaned, row.rejected) == (250, 248, {"price: no value": 1, "city: no value": 1})
    assert 'price: no value 1 (row 7: "cheap")' in row.finding
    assert len(keys(testbed, tables.clean)) == 248


@pytest.mark.failure("F36")
def test_a_kill_during_loading_neither_duplicates_nor_loses_rows(testbed: Testbed) -> None:
    """kill -9 while a batch is half inserted: after the next start each row is stored once."""
    tables = dataset_tables(testbed.dataset)
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 2, 0, list(api_rows(0, 6000, 2)))
        wait_until(lambda: _inserting(testbed, tables.raw), what="the loader inserts rows")
        loader.kill()
        assert not loaded(testbed, 2, 0), "the kill came too late"
        loader.start()
        wait_until(lambda: loaded(testbed, 2, 0), what="the batch is loaded")
    assert keys(testbed, tables.raw) == [(2, 0, n) for n in range(6000)]
    assert Counter(key[0] for key in keys(testbed, tables.clean)) == {2: entry(testbed, 2, 0).cleaned}


def _inserting(testbed: Testbed, table: sa.Table) -> bool:
    """Whether an open transaction has rows in the table."""
    with testbed.admin.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        return bool(connection.scalar(sa.select(table.c.epoch).where(table.c.epoch == 2).limit(1)))


@pytest.mark.failure("F08", "F103")
def test_a_new_epoch_clears_or_keeps_the_old_rows(testbed: Testbed) -> None:
    """ON_NEW_EPOCH: `keep` does not delete the old rows, `clear` deletes them before the first new row."""
    tables = dataset_tables(testbed.dataset)
    rows = api_rows(0, 120, 3)
    with testbed.service("loader", "loader", on_new_epoch="keep") as loader:
        loader.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 3, 0, list(rows))
        wait_until(lambda: loaded(testbed, 3, 0), what="epoch 3 is loaded")
    assert {key[0] for key in keys(testbed, tables.raw)} == {2, 3}
    with testbed.service("loader", "loader", on_new_epoch="clear") as loader:
        loader.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 4, 0, list(rows))
        wait_until(lambda: loaded(testbed, 4, 0), what="epoch 4 is loaded")
    assert {key[0] for key in keys(testbed, tables.raw)} == {4}
    assert {key[0] for key in keys(testbed, tables.clean)} == {4}
    assert loaded(testbed, 2, 0), "the batch table is never cleared"


@pytest.mark.failure("F10")
def test_a_batch_that_does_not_match_is_dead_lettered_and_the_next_is_loaded(testbed: Testbed) -> None:
    """It is refused as a whole."""
    publish_batch(testbed.log, testbed.dataset, 4, 1, list(api_rows(0, 120, 4)), digest="wrong")
    publish_batch(testbed.log, testbed.dataset, 4, 2, list(api_rows(0, 120, 5)))
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        wait_until(lambda: loaded(testbed, 4, 2), what="the batch after it is loaded")
    assert entry(testbed, 4, 1).state == "refused"
    letters = [e.payload for e in testbed.events("deadletter")]
    assert [letter.model_dump()["reason"] for letter in letters] == ["the manifest does not match"]
    assert {key[1] for key in keys(testbed, dataset_tables(testbed.dataset).raw)} == {0, 2}


@pytest.mark.failure("F357", "F358")
def test_a_forged_manifest_deletes_no_row(testbed: Testbed) -> None:
    """One of the next epoch with another digest, and one of a far epoch whose rows exist: each is one dead letter."""
    tables = dataset_tables(testbed.dataset)
    before = keys(testbed, tables.raw), keys(testbed, tables.clean)
    letters = len(testbed.events("deadletter"))
    publish_batch(testbed.log, testbed.dataset, 5, 0, list(api_rows(0, 10, 6)), digest="0" * 64)
    publish_batch(testbed.log, testbed.dataset, 1_000_000, 0, list(api_rows(0, 10, 6)))
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        wait_until(lambda: len(testbed.events("deadletter")) == letters + 3, what="the records are dead letters")
        assert http_status(f"{loader.url}/readyz") == 200
    assert (keys(testbed, tables.raw), keys(testbed, tables.clean)) == before
    assert before[0]
    assert entry(testbed, 1_000_000, 0) is None


@pytest.mark.failure("F11")
def test_a_batch_whose_manifest_cannot_be_decoded_is_abandoned(testbed: Testbed) -> None:
    """When the next batch is opened, which is loaded."""
    opened = BatchOpened(dataset=testbed.dataset.name, epoch=5, number=0, rows=5, digest="d")
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        send(testbed.log, testbed.dataset, "batches", opened, "opened")
        testbed.log.publish([message(topic(testbed.dataset.name, "batches"), value=b"{")])
        publish_batch(testbed.log, testbed.dataset, 5, 1, list(api_rows(0, 20, 5)))
        wait_until(lambda: states_of(testbed, 5) == {0: "abandoned", 1: "loaded"}, what="the next batch is loaded")


def states_of(testbed: Testbed, epoch: int) -> dict[int, str]:
    return {row.number: row.state for row in testbed.sql(sa.select(batches).where(batches.c.epoch == epoch))}


@pytest.mark.failure("F173")
def test_a_batch_without_a_clean_row_is_a_warning(testbed: Testbed) -> None:
    """Also after a restart, until a better batch is loaded."""

    def warnings() -> Any:
        with urlopen(f"{loader.url}/readyz", timeout=5) as response:
            return json.loads(response.read())["warnings"]

    rows = [{**row, "price": "POA"} for row in api_rows(0, 40, 3)]
    text = 'batch 6/1 has no clean row: 40 of 40 rows are left out (100 %): price: no value 40 (row 0: "POA")'
    with testbed.service("loader", "loader") as loader:
        loader.wait_until_ready()
        publish_batch(testbed.log, testbed.dataset, 6, 1, rows)
        wait_until(lambda: warnings() == {"rows": text}, what="the warning is shown")
        assert metric(loader.url, 'veleta_loader_rows_total{outcome="price: no value"}') == 40
        loader.stop()
        loader.start()
        loader.wait_until_ready()
        wait_until(lambda: warnings() == {"rows": text}, what="the warning is shown after a restart")
        publish_batch(testbed.log, testbed.dataset, 6, 2, list(api_rows(0, 40, 3)))
        wait_until(lambda: warnings() == {}, what="the warning is removed")
