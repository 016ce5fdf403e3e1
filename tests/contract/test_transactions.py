"""One suite for transactions in memory, through PyMySQL and through asyncmy."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import pytest
import sqlalchemy as sa

from support.records import message
from support.testbed import Testbed
from support.twins.shared import MemoryTransactions, MemoryUnitOfWork
from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine
from veleta.adapters.mysql import MysqlTransactions, MysqlUnitOfWork, mysql_engine
from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.ports import Checkpoints, Transactions, UnitOfWork
from veleta.settings import MysqlSettings
from veleta.tables import checkpoints as checkpoint_table
from veleta.tables import outbox

Factory = Callable[[str], Transactions[UnitOfWork]]


@pytest.fixture(params=["memory", "pymysql", "asyncmy"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Factory]:
    """Makes the transactions of the service `trainer` or `drift`. The services of one test share a database."""
    if request.param == "memory":
        yield lambda _service: MemoryTransactions(MemoryUnitOfWork())
        return
    testbed = request.getfixturevalue("testbed")
    delete_state(testbed)
    if request.param == "pymysql":
        engines = {name: mysql_engine(testbed.mysql(name)) for name in ("trainer", "drift")}
        yield lambda service: MysqlTransactions(engines[service], partial(MysqlUnitOfWork, service=service))
        for engine in engines.values():
            engine.dispose()
    else:
        async_engines = {name: async_mysql_engine(testbed.mysql(name)) for name in ("trainer", "drift")}
        yield lambda service: AsyncMysqlTransactions(async_engines[service], partial(MysqlUnitOfWork, service=service))
        for async_engine in async_engines.values():
            await async_engine.dispose()


def delete_state(testbed: Testbed) -> None:
    """Delete the checkpoints and messages of all services."""
    with testbed.admin.begin() as connection:
        for table in (outbox, checkpoint_table):
            connection.execute(sa.delete(table))


@pytest.fixture
def transactions(make: Factory) -> Transactions[UnitOfWork]:
    return make("trainer")


def save(name: str, offset: int) -> Callable[[UnitOfWork], None]:
    return lambda uow: uow.checkpoints.save(name, 0, offset)


def append(*messages: Message) -> Callable[[UnitOfWork], None]:
    def transaction(uow: UnitOfWork) -> None:
        for each in messages:
            uow.outbox.append(each)

    return transaction


def delete(ids: Sequence[int]) -> Callable[[UnitOfWork], None]:
    return lambda uow: uow.outbox.delete(ids)


def checkpoints(uow: UnitOfWork) -> Checkpoints:
    return uow.checkpoints.load_all()


def pending(uow: UnitOfWork) -> list[tuple[int, Message]]:
    return uow.outbox.oldest()


def values(messages: list[tuple[int, Message]]) -> list[bytes]:
    return [each.value for _, each in messages]


async def test_a_new_service_has_no_state(transactions: Transactions[UnitOfWork]) -> None:
    """A missing checkpoint is 0, and the outbox is empty."""
    assert await transactions.run(lambda uow: uow.checkpoints.load("t", 0)) == 0
    assert await transactions.run(checkpoints) == {}
    assert await transactions.run(pending) == []


async def test_checkpoints_are_saved_by_topic_and_partition(transactions: Transactions[UnitOfWork]) -> None:
    """The last saved offset is the checkpoint."""

    def transaction(uow: UnitOfWork) -> int:
        uow.checkpoints.save("a", 0, 5)
        uow.checkpoints.save("a", 1, 7)
        uow.checkpoints.save("b", 0, 2**40)
        uow.checkpoints.save("a", 0, 6)
        return uow.checkpoints.load("a", 0)

    assert await transactions.run(transaction) == 6
    assert await transactions.run(checkpoints) == {("a", 0): 6, ("a", 1): 7, ("b", 0): 2**40}


async def test_the_result_of_a_transaction_is_returned(transactions: Transactions[UnitOfWork]) -> None:
    """By `run`."""
    assert await transactions.run(lambda _uow: "done") == "done"


async def test_a_transaction_that_raises_is_rolled_back(transactions: Transactions[UnitOfWork]) -> None:
    """Checkpoint and outgoing events are committed together or not at all; `run` raises the error."""
    await transactions.run(save("t", 3))

    def transaction(uow: UnitOfWork) -> None:
        uow.checkpoints.save("t", 0, 4)
        uow.outbox.append(message("out"))
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        await transactions.run(transaction)
    assert await transactions.run(checkpoints) == {("t", 0): 3}
    assert await transactions.run(pending) == []


async def test_messages_leave_the_outbox_in_order(transactions: Transactions[UnitOfWork]) -> None:
    """Within a transaction and between transactions."""
    await transactions.run(append(message("o", value=b"1"), message("o", value=b"2")))
    await transactions.run(append(message("o", value=b"3")))
    assert values(await transactions.run(pending)) == [b"1", b"2", b"3"]


async def test_the_outbox_stores_messages_exactly(transactions: Transactions[UnitOfWork]) -> None:
    """Topic, key, the order of headers, bytes that are not text, and a large value."""
    headers = (("ce_id", "año/1 🏠".encode()), ("a", b""), ("a", b"twice"))
    sent = message("o", "Año/3", b"\x00\xff'\"\\" * 50_000, headers)
    await transactions.run(append(sent))
    ((_, stored),) = await transactions.run(pending)
    assert stored == sent


async def test_published_messages_are_deleted_from_the_outbox(transactions: Transactions[UnitOfWork]) -> None:
    """Messages that were appended meanwhile stay."""
    await transactions.run(append(message("o", value=b"1"), message("o", value=b"2")))
    published = await transactions.run(pending)
    await transactions.run(append(message("o", value=b"3")))
    await transactions.run(delete([message_id for message_id, _ in published]))
    assert values(await transactions.run(pending)) == [b"3"]
    await transactions.run(delete([]))
    assert values(await transactions.run(pending)) == [b"3"]


async def test_two_services_do_not_see_each_other(make: Factory) -> None:
    """Each has its own checkpoints and its own outbox."""
    one, other = make("trainer"), make("drift")
    await one.run(save("t", 5))
    await one.run(append(message("o", value=b"1")))
    await other.run(save("t", 9))
    await other.run(append(message("o", value=b"2")))
    assert (await one.run(checkpoints), await other.run(checkpoints)) == ({("t", 0): 5}, {("t", 0): 9})
    assert (values(await one.run(pending)), values(await other.run(pending))) == ([b"1"], [b"2"])
    await one.run(delete([message_id for message_id, _ in await one.run(pending)]))
    assert values(await other.run(pending)) == [b"2"]


async def test_the_next_process_loads_what_was_committed(testbed: Testbed) -> None:
    """Through either driver."""
    delete_state(testbed)
    service = "loader"
    engine, async_engine = mysql_engine(testbed.mysql("loader")), async_mysql_engine(testbed.mysql("loader"))
    await MysqlTransactions(engine, partial(MysqlUnitOfWork, service=service)).run(save("t", 5))
    await MysqlTransactions(engine, partial(MysqlUnitOfWork, service=service)).run(append(message("o", value=b"1")))
    transactions = AsyncMysqlTransactions(async_engine, partial(MysqlUnitOfWork, service=service))
    assert await transactions.run(checkpoints) == {("t", 0): 5}
    assert values(await transactions.run(pending)) == [b"1"]
    engine.dispose()
    await async_engine.dispose()


@pytest.mark.failure("F23")
@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
async def test_an_unreachable_database_is_a_retry(driver: str) -> None:
    """Which names mysql."""
    unreachable = MysqlSettings.model_validate({"host": "127.0.0.1", "port": 9, "user": "u", "password": "p"})
    transactions: Transactions[UnitOfWork] = (
        MysqlTransactions(mysql_engine(unreachable), partial(MysqlUnitOfWork, service="s"))
        if driver == "pymysql"
        else AsyncMysqlTransactions(async_mysql_engine(unreachable), partial(MysqlUnitOfWork, service="s"))
    )
    with pytest.raises(Retry) as caught:
        await transactions.run(checkpoints)
    assert caught.value.dependency == "mysql"
