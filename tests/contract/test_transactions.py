"""One suite for transactions in memory, through PyMySQL and through asyncmy."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from uuid import uuid4

import pytest

from support.records import message
from support.world import World
from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine
from veleta.adapters.memory import MemoryTransactions, MemoryUnitOfWork
from veleta.adapters.mysql import MysqlTransactions, MysqlUnitOfWork, mysql_engine
from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.ports import Checkpoints, Transactions, UnitOfWork
from veleta.settings import MysqlSettings

Factory = Callable[[str], Transactions[UnitOfWork]]


@pytest.fixture(params=["memory", "pymysql", "asyncmy"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Factory]:
    """Transactions by the service they belong to; the services of one test share a database."""
    if request.param == "memory":
        yield lambda _service: MemoryTransactions(MemoryUnitOfWork())
        return
    login = request.getfixturevalue("world").mysql("trainer")
    if request.param == "pymysql":
        engine = mysql_engine(login)
        yield lambda service: MysqlTransactions(engine, partial(MysqlUnitOfWork, service=service))
        engine.dispose()
    else:
        on_loop = async_mysql_engine(login)
        yield lambda service: AsyncMysqlTransactions(on_loop, partial(MysqlUnitOfWork, service=service))
        await on_loop.dispose()


@pytest.fixture
def service() -> str:
    """A service that did nothing yet."""
    return uuid4().hex[:12]


@pytest.fixture
def transactions(make: Factory, service: str) -> Transactions[UnitOfWork]:
    return make(service)


def save(name: str, offset: int) -> Callable[[UnitOfWork], None]:
    return lambda uow: uow.checkpoints.save(name, 0, offset)


def append(*messages: Message) -> Callable[[UnitOfWork], None]:
    def transaction(uow: UnitOfWork) -> None:
        for one in messages:
            uow.outbox.append(one)

    return transaction


def delete(ids: Sequence[int]) -> Callable[[UnitOfWork], None]:
    return lambda uow: uow.outbox.delete(ids)


def checkpoints(uow: UnitOfWork) -> Checkpoints:
    return uow.checkpoints.load_all()


def pending(uow: UnitOfWork) -> list[tuple[int, Message]]:
    return uow.outbox.oldest()


def values(outbox: list[tuple[int, Message]]) -> list[bytes]:
    return [one.value for _, one in outbox]


async def test_a_service_begins_with_nothing(transactions: Transactions[UnitOfWork]) -> None:
    """No mark is the mark 0, and nothing waits to be sent."""
    assert await transactions.run(lambda uow: uow.checkpoints.load("t", 0)) == 0
    assert await transactions.run(checkpoints) == {}
    assert await transactions.run(pending) == []


async def test_marks_are_kept_by_topic_and_partition(transactions: Transactions[UnitOfWork]) -> None:
    """An offset is the next one to take; the last one said counts."""

    def transaction(uow: UnitOfWork) -> int:
        uow.checkpoints.save("a", 0, 5)
        uow.checkpoints.save("a", 1, 7)
        uow.checkpoints.save("b", 0, 2**40)
        uow.checkpoints.save("a", 0, 6)
        return uow.checkpoints.load("a", 0)

    assert await transactions.run(transaction) == 6
    assert await transactions.run(checkpoints) == {("a", 0): 6, ("a", 1): 7, ("b", 0): 2**40}


async def test_a_transaction_answers_what_it_returns(transactions: Transactions[UnitOfWork]) -> None:
    """Its result is that of `run`."""
    assert await transactions.run(lambda _work: "done") == "done"


async def test_a_transaction_that_raises_keeps_nothing(transactions: Transactions[UnitOfWork]) -> None:
    """Effect, mark and outgoing events are kept together or not at all; the error itself passes."""
    await transactions.run(save("t", 3))

    def transaction(uow: UnitOfWork) -> None:
        uow.checkpoints.save("t", 0, 4)
        uow.outbox.append(message("out"))
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        await transactions.run(transaction)
    assert await transactions.run(checkpoints) == {("t", 0): 3}
    assert await transactions.run(pending) == []


async def test_the_outbox_keeps_its_order(transactions: Transactions[UnitOfWork]) -> None:
    """Within a transaction and between them: events leave as they were written."""
    await transactions.run(append(message("o", value=b"1"), message("o", value=b"2")))
    await transactions.run(append(message("o", value=b"3")))
    assert values(await transactions.run(pending)) == [b"1", b"2", b"3"]


async def test_the_outbox_keeps_messages_exactly(transactions: Transactions[UnitOfWork]) -> None:
    """Topic, key, the order of headers, bytes that are no text, and more than a small column holds."""
    headers = (("ce_id", "año/1 🏠".encode()), ("a", b""), ("a", b"twice"))
    sent = message("o", "Año/3", b"\x00\xff'\"\\" * 50_000, headers)
    await transactions.run(append(sent))
    ((_, found),) = await transactions.run(pending)
    assert found == sent


async def test_what_was_sent_leaves_the_outbox(transactions: Transactions[UnitOfWork]) -> None:
    """Only that: what was written meanwhile stays."""
    await transactions.run(append(message("o", value=b"1"), message("o", value=b"2")))
    taken = await transactions.run(pending)
    await transactions.run(append(message("o", value=b"3")))
    await transactions.run(delete([number for number, _ in taken]))
    assert values(await transactions.run(pending)) == [b"3"]
    await transactions.run(delete([]))
    assert values(await transactions.run(pending)) == [b"3"]


async def test_two_services_do_not_see_each_other(make: Factory, service: str) -> None:
    """In outbox and marks each service has its own rows."""
    one, other = make(service), make(f"{service}-2")
    await one.run(save("t", 5))
    await one.run(append(message("o", value=b"1")))
    await other.run(save("t", 9))
    await other.run(append(message("o", value=b"2")))
    assert (await one.run(checkpoints), await other.run(checkpoints)) == ({("t", 0): 5}, {("t", 0): 9})
    assert (values(await one.run(pending)), values(await other.run(pending))) == ([b"1"], [b"2"])
    await one.run(delete([number for number, _ in await one.run(pending)]))
    assert values(await other.run(pending)) == [b"2"]


async def test_a_ledger_outlives_its_object(world: World, service: str) -> None:
    """What one process kept, the next one finds, through either driver."""
    engine, on_loop = mysql_engine(world.mysql("loader")), async_mysql_engine(world.mysql("loader"))
    await MysqlTransactions(engine, partial(MysqlUnitOfWork, service=service)).run(save("t", 5))
    await MysqlTransactions(engine, partial(MysqlUnitOfWork, service=service)).run(append(message("o", value=b"1")))
    found = AsyncMysqlTransactions(on_loop, partial(MysqlUnitOfWork, service=service))
    assert await found.run(checkpoints) == {("t", 0): 5}
    assert values(await found.run(pending)) == [b"1"]
    engine.dispose()
    await on_loop.dispose()


@pytest.mark.failure("F23")
@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
async def test_a_database_that_is_away_is_waited_for(driver: str) -> None:
    """Retry, and it names mysql."""
    nowhere = MysqlSettings.model_validate({"host": "127.0.0.1", "port": 9, "user": "u", "password": "p"})
    transactions: Transactions[UnitOfWork] = (
        MysqlTransactions(mysql_engine(nowhere), partial(MysqlUnitOfWork, service="s"))
        if driver == "pymysql"
        else AsyncMysqlTransactions(async_mysql_engine(nowhere), partial(MysqlUnitOfWork, service="s"))
    )
    with pytest.raises(Retry) as caught:
        await transactions.run(checkpoints)
    assert caught.value.dependency == "mysql"
