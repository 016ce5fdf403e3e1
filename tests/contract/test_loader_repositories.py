"""One suite for the loader's repositories in memory and in MySQL."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from support.batches import TIME
from support.listings import api_rows
from support.testbed import Testbed
from support.twins.loader import MemoryLoaderUnitOfWork
from support.twins.shared import MemoryTransactions
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.clock import for_sql
from veleta.dataset import load_dataset
from veleta.events.catalogue import DatasetDeclared
from veleta.ports import Transactions
from veleta.tables import batches, dataset_tables
from veleta_loader.adapters.repositories import MysqlLoaderUnitOfWork
from veleta_loader.domain.row_splitter import RowSplitter
from veleta_loader.ports import BatchEntry, LoaderUnitOfWork

LoaderTransactions = Transactions[LoaderUnitOfWork]
EPOCHS = count(1)


@pytest.fixture
def epoch() -> int:
    """An epoch without a batch; the tests share the tables in MySQL."""
    return next(EPOCHS)


@pytest.fixture
def loaded(epoch: int) -> BatchEntry:
    """An entry with a value in every field."""
    at = for_sql(TIME.replace(microsecond=678901))
    return BatchEntry(
        epoch=epoch,
        number=0,
        state="loaded",
        received=3,
        cleaned=1,
        rejected={"año: no value": 2},
        digest="d",
        finding="one\nañother",
        opened_at=at,
        closed_at=at,
        loaded_at=at,
    )


@pytest.fixture(params=["memory", "mysql"])
async def transactions(request: pytest.FixtureRequest) -> AsyncIterator[LoaderTransactions]:
    """The transactions under test."""
    if request.param == "memory":
        yield MemoryTransactions(MemoryLoaderUnitOfWork())
        return
    testbed: Testbed = request.getfixturevalue("testbed")
    engine = mysql_engine(testbed.mysql("loader"))
    yield MysqlTransactions(engine, partial(MysqlLoaderUnitOfWork, tables=dataset_tables(testbed.dataset)))
    engine.dispose()


async def save(transactions: LoaderTransactions, *entries: BatchEntry) -> None:
    def transaction(uow: LoaderUnitOfWork) -> None:
        for entry in entries:
            uow.batches.save(entry)

    await transactions.run(transaction)


async def load(transactions: LoaderTransactions, epoch: int, number: int) -> BatchEntry | None:
    return await transactions.run(lambda uow: uow.batches.load(epoch, number))


async def states(transactions: LoaderTransactions, epoch: int, numbers: Sequence[int]) -> list[str | None]:
    entries = [await load(transactions, epoch, number) for number in numbers]
    return [entry.state if entry else None for entry in entries]


async def test_an_entry_is_loaded_as_it_was_saved(transactions: LoaderTransactions, loaded: BatchEntry) -> None:
    """Every field, with texts beyond ASCII and microseconds; a batch without an entry has none."""
    await save(transactions, loaded)
    assert await load(transactions, loaded.epoch, 0) == loaded
    assert await load(transactions, loaded.epoch, 1) is None
    assert await load(transactions, 0, 0) is None


async def test_saving_again_updates_the_entry(transactions: LoaderTransactions, loaded: BatchEntry) -> None:
    """A field that is None stays as it is in the table."""
    await save(transactions, loaded, BatchEntry(loaded.epoch, 0, "refused", finding="two"))
    assert await load(transactions, loaded.epoch, 0) == replace(loaded, state="refused", finding="two")


async def test_the_newest_loaded_batch_is_found(transactions: LoaderTransactions, loaded: BatchEntry) -> None:
    """Of the highest epoch. Batches in another state do not count."""
    earlier, epoch = loaded, next(EPOCHS)
    newest = replace(loaded, epoch=epoch, number=1)
    await save(transactions, newest, earlier, replace(loaded, epoch=epoch), BatchEntry(epoch, 2, "open"))
    assert await transactions.run(lambda uow: uow.batches.newest_loaded()) == newest


async def test_every_other_open_batch_is_abandoned(
    transactions: LoaderTransactions, epoch: int, loaded: BatchEntry
) -> None:
    """Of any epoch; batches in another state keep it."""
    other_epoch = next(EPOCHS)
    await save(
        transactions,
        loaded,
        *(BatchEntry(epoch, number, state) for number, state in ((1, "open"), (2, "open"), (3, "refused"))),
        BatchEntry(other_epoch, 2, "open"),
    )
    await transactions.run(lambda uow: uow.batches.abandon_open(epoch, 2))
    assert await states(transactions, epoch, range(4)) == ["loaded", "abandoned", "open", "refused"]
    assert await states(transactions, other_epoch, [2]) == ["abandoned"]


async def test_a_dataset_file_is_stored_once(transactions: LoaderTransactions) -> None:
    """Its text is read by its digest; the same declaration again changes nothing."""
    declared = DatasetDeclared(dataset="d", digest="0" * 64, toml="name = 'ñ 🏠'\n")
    for _ in range(2):
        await transactions.run(lambda uow: uow.datasets.insert(declared, TIME))
    assert await transactions.run(lambda uow: uow.datasets.text(declared.digest)) == declared.toml
    assert await transactions.run(lambda uow: uow.datasets.text("1" * 64)) is None


async def test_each_row_is_inserted_once(transactions: LoaderTransactions, epoch: int) -> None:
    """The same row again is an error, and nothing of its transaction is stored."""
    rows = RowSplitter(load_dataset("real_estate"), epoch, 0).split(api_rows(0, 3, 1))
    await transactions.run(lambda uow: uow.rows.insert(*rows))
    with pytest.raises(IntegrityError):
        await transactions.run(lambda uow: uow.rows.insert(*rows))


async def test_a_transaction_that_raises_is_rolled_back_in_every_table(
    transactions: LoaderTransactions, epoch: int, loaded: BatchEntry
) -> None:
    """Rows, entries, dataset files and checkpoint are committed together or not at all."""
    await save(transactions, BatchEntry(epoch, 0, "open"))
    declared = DatasetDeclared(dataset="d", digest="2" * 64, toml="x = 1\n")
    rows = RowSplitter(load_dataset("real_estate"), epoch, 0).split(api_rows(0, 3, 1))

    def transaction(uow: LoaderUnitOfWork) -> None:
        uow.batches.save(loaded)
        uow.batches.save(BatchEntry(epoch, 1, "open"))
        uow.batches.abandon_open(epoch, 1)
        uow.datasets.insert(declared, TIME)
        uow.rows.insert(*rows)
        uow.checkpoints.save("t", 0, 4)
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        await transactions.run(transaction)
    assert await states(transactions, epoch, range(2)) == ["open", None]
    assert await transactions.run(lambda uow: uow.datasets.text(declared.digest)) is None
    assert await transactions.run(lambda uow: uow.checkpoints.load_all()) == {}
    await transactions.run(lambda uow: uow.rows.insert(*rows))  # no row was left: each can be inserted once


async def test_a_field_without_a_value_is_null_in_sql(testbed: Testbed, epoch: int) -> None:
    """JSON's `null` would not be NULL for SQL."""
    engine = mysql_engine(testbed.mysql("loader"))
    tables = dataset_tables(testbed.dataset)
    await save(MysqlTransactions(engine, partial(MysqlLoaderUnitOfWork, tables=tables)), BatchEntry(epoch, 0, "open"))
    assert testbed.sql(sa.select(batches.c.rejected.is_(sa.null())).where(batches.c.epoch == epoch)) == [(1,)]
    engine.dispose()
