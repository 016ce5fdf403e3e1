"""Connections to the real database that break or freeze, through both drivers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import asyncmy
import pytest
import sqlalchemy as sa

from support.proxy import Proxy
from support.records import message
from support.testbed import Testbed
from veleta.adapters import async_mysql as async_mysql_module
from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine
from veleta.adapters.mysql import MysqlTransactions, MysqlUnitOfWork, mysql_engine
from veleta.errors import Retry
from veleta.ports import Transactions, UnitOfWork

INTERNAL_ERRORS = (AttributeError, RuntimeError, IndexError, asyncio.InvalidStateError)
Connect = Callable[..., Transactions[UnitOfWork]]
"""Makes transactions of a service through the proxy, on new connections. The arguments are those of the engine."""


@pytest.fixture
def proxy(testbed: Testbed) -> Iterator[Proxy]:
    made = Proxy(testbed.mysql("trainer").port)
    yield made
    made.cut()


@pytest.fixture(params=["pymysql", "asyncmy"])
async def connect(request: pytest.FixtureRequest, testbed: Testbed, proxy: Proxy) -> AsyncIterator[Connect]:
    login = testbed.mysql("trainer").model_copy(update={"port": proxy.port})
    unit_of_work = partial(MysqlUnitOfWork, service="trainer")
    engines: list[Any] = []

    def make(**arguments: Any) -> Transactions[UnitOfWork]:
        if request.param == "pymysql":
            engines.append(mysql_engine(login, **arguments))
            return MysqlTransactions(engines[-1], unit_of_work)
        engines.append(async_mysql_engine(login, **arguments))
        return AsyncMysqlTransactions(engines[-1], unit_of_work)

    yield make
    proxy.thaw()
    for engine in engines:
        if (disposed := engine.dispose()) is not None:
            await disposed


class _UnitOfWork(MysqlUnitOfWork):
    """Shows its connection."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection, "trainer")
        self.connection: Any = connection


def step(uow: UnitOfWork) -> int:
    """A transaction that reads and writes."""
    offset = uow.checkpoints.load("t", 0)
    uow.outbox.append(message("o", value=b"1"))
    uow.checkpoints.save("t", 0, offset + 1)
    return offset


@pytest.mark.failure("F226")
async def test_a_connection_that_breaks_anywhere_is_a_retry(connect: Connect, proxy: Proxy) -> None:
    """After every fifth byte of the server: while it connects, logs in, answers a statement or commits."""
    for count in range(0, 5_000, 5):
        proxy.cut_after = count
        try:
            await connect().run(step)
        except Retry as error:
            assert error.dependency == "mysql"  # noqa: PT017 - each count may raise or not
        else:
            break
    assert count > 100  # it was cut in all phases


@pytest.mark.failure("F226")
@pytest.mark.parametrize("kind", INTERNAL_ERRORS)
async def test_an_internal_error_of_asyncmy_on_a_lost_connection_is_a_retry(
    testbed: Testbed, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it connects, and in a transaction: asyncmy raises errors of many types when a connection breaks."""
    engine = async_mysql_engine(testbed.mysql("trainer"))
    transactions = AsyncMysqlTransactions(engine, _UnitOfWork)

    def lose(uow: _UnitOfWork) -> None:
        uow.checkpoints.load("t", 0)
        uow.connection.connection.driver_connection.close()
        raise kind("inside asyncmy")

    with pytest.raises(Retry, match="mysql"):
        await transactions.run(lose)

    def fail(_connection: object, _value: object) -> None:
        raise kind("inside asyncmy")

    with monkeypatch.context() as patched:
        patched.setattr(asyncmy.connection.Connection, "_set_nodelay", fail)
        with pytest.raises(Retry, match="mysql"):
            await transactions.run(step)
    await transactions.run(step)
    await engine.dispose()


@pytest.mark.failure("F226")
async def test_an_error_of_the_transaction_itself_is_no_outage(connect: Connect) -> None:
    """An AttributeError on a healthy connection is a fault of the code."""

    def transaction(uow: UnitOfWork) -> None:
        uow.checkpoints.load("t", 0)
        raise AttributeError("a fault")

    with pytest.raises(AttributeError, match="a fault"):
        await connect().run(transaction)


@pytest.mark.failure("F223")
@pytest.mark.parametrize("size", [1, 6_000_000], ids=["small", "large"])
async def test_a_database_that_freezes_is_a_retry(
    connect: Connect, proxy: Proxy, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a transaction, also while a large statement is sent. When it answers again, so do new transactions."""
    monkeypatch.setattr(async_mysql_module, "TRANSACTION_SECONDS", 3)
    transactions = connect(seconds=1)
    offset = await transactions.run(step)

    def transaction(uow: UnitOfWork) -> None:
        uow.checkpoints.load("t", 0)
        proxy.freeze()
        uow.outbox.append(message("o", value=b"x" * size))

    with pytest.raises(Retry) as caught:
        await asyncio.wait_for(transactions.run(transaction), 20)
    assert caught.value.dependency == "mysql"
    proxy.thaw()
    assert await transactions.run(step) == offset + 1


@pytest.mark.failure("F224")
async def test_the_locks_of_a_frozen_client_end(connect: Connect) -> None:
    """The server ends its transaction, so another client gets the lock, and the frozen one changes nothing."""
    offset = await connect().run(step)
    locked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def freeze(uow: UnitOfWork) -> None:
        uow.checkpoints.load("t", 0)
        uow.checkpoints.save("t", 0, 100)
        loop.call_soon_threadsafe(locked.set)
        time.sleep(4)  # SIGSTOP would stop the test too
        uow.checkpoints.save("t", 0, 101)

    frozen = asyncio.ensure_future(asyncio.to_thread(asyncio.run, connect(idle_seconds=1).run(freeze)))
    await asyncio.wait_for(locked.wait(), 10)
    assert await connect().run(step) == offset + 1
    with pytest.raises(Retry):
        await frozen


@pytest.mark.failure("F224")
async def test_an_idle_connection_that_the_server_closed_is_replaced(connect: Connect) -> None:
    """A pause that is longer than the server allows is no outage."""
    transactions = connect(idle_seconds=1)
    offset = await transactions.run(step)
    await asyncio.sleep(2.5)
    assert await transactions.run(step) == offset + 1
