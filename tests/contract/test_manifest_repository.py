"""One suite for the repository of manifests in memory and in MySQL."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from support.records import publish_chunks
from support.testbed import Testbed
from support.twins.shared import MemoryLog, MemoryTransactions
from support.twins.trainer import MemoryTrainerUnitOfWork
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.events.catalogue import BatchClosed
from veleta.ports import ManifestUnitOfWork, Transactions
from veleta.tables import manifests
from veleta_trainer.adapters.repositories import MysqlTrainerUnitOfWork

ManifestTransactions = Transactions[ManifestUnitOfWork]


@pytest.fixture(params=["memory", "mysql"])
async def transactions(request: pytest.FixtureRequest) -> AsyncIterator[ManifestTransactions]:
    """The transactions under test, on an empty table. Another service has manifests too."""
    if request.param == "memory":
        yield MemoryTransactions(MemoryTrainerUnitOfWork())
        return
    testbed: Testbed = request.getfixturevalue("testbed")
    other = {"service": "other", "epoch": 1, "number": 1, "next_offset": 900, "manifest": {}}
    with testbed.admin.begin() as connection:
        connection.execute(sa.delete(manifests))
        connection.execute(sa.insert(manifests).values(other))
    engine = mysql_engine(testbed.mysql("trainer"))
    yield MysqlTransactions(engine, MysqlTrainerUnitOfWork)
    engine.dispose()


def manifest(number: int, epoch: int = 1) -> BatchClosed:
    return publish_chunks(MemoryLog(), "d", epoch, number, [[{"a": number}]])


async def save(transactions: ManifestTransactions, *found: tuple[int, BatchClosed]) -> None:
    await transactions.run(lambda uow: uow.manifests.save(found))


async def newest(transactions: ManifestTransactions, epoch: int, number: int, limit: int) -> list[BatchClosed]:
    return await transactions.run(lambda uow: uow.manifests.newest(epoch, number, limit))


async def test_the_last_manifests_of_an_epoch_are_returned_by_number(transactions: ManifestTransactions) -> None:
    """They are as they were saved."""
    assert await newest(transactions, 1, 9, 9) == []
    await save(transactions, (5, manifest(2)), (2, manifest(0)), (4, manifest(1)), (6, manifest(0, epoch=2)))
    assert await newest(transactions, 1, 9, 2) == [manifest(1), manifest(2)]
    assert await newest(transactions, 1, 1, 9) == [manifest(0), manifest(1)]


@pytest.mark.failure("F358")
async def test_the_last_manifest_is_that_with_the_greatest_offset(transactions: ManifestTransactions) -> None:
    """Whatever the order in which they were saved, and whatever epoch another one claims."""
    assert await transactions.run(lambda uow: uow.manifests.last()) is None
    await save(transactions, (6, manifest(0, epoch=2)), (5, manifest(2)), (4, manifest(0, epoch=1_000_000)))
    assert await transactions.run(lambda uow: uow.manifests.last()) == manifest(0, epoch=2)


async def test_the_next_offset_follows_the_last_manifest(transactions: ManifestTransactions) -> None:
    """It is 0 without one. Those of another service have no effect."""
    assert await transactions.run(lambda uow: uow.manifests.next_offset()) == 0
    await save(transactions)
    await save(transactions, (5, manifest(0)), (7, manifest(1)))
    assert await transactions.run(lambda uow: uow.manifests.next_offset()) == 7


async def test_a_manifest_of_the_same_batch_is_replaced(transactions: ManifestTransactions) -> None:
    """Also within one call: the last one counts."""
    again = manifest(0).model_copy(update={"rows": 8})
    await save(transactions, (1, manifest(0)))
    await save(transactions, (2, manifest(0)), (3, again))
    assert await newest(transactions, 1, 9, 9) == [again]
    assert await transactions.run(lambda uow: uow.manifests.next_offset()) == 3


async def test_all_manifests_are_deleted_in_portions(transactions: ManifestTransactions) -> None:
    """The last portion is empty."""
    await save(transactions, (1, manifest(0)), (2, manifest(1)))
    assert await transactions.run(lambda uow: uow.manifests.delete_some()) == 2
    assert await transactions.run(lambda uow: uow.manifests.delete_some()) == 0
    assert await newest(transactions, 1, 9, 9) == []
