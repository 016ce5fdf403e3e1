"""One suite for the ledger in memory, through PyMySQL and through asyncmy."""

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from support.records import message
from support.world import World
from veleta.adapters.async_mysql import AsyncMysqlLedger, async_mysql_engine
from veleta.adapters.memory import MemoryLedger
from veleta.adapters.mysql import MysqlLedger, mysql_engine
from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.ports import Ledger, Work
from veleta.settings import MysqlSettings

MakeLedger = Callable[[str], Ledger]


@pytest.fixture(params=["memory", "pymysql", "asyncmy"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[MakeLedger]:
    """Ledgers by the service they belong to; services of one test share a database."""
    if request.param == "memory":
        yield lambda _service: MemoryLedger()
        return
    login = request.getfixturevalue("world").mysql("trainer")
    if request.param == "pymysql":
        engine = mysql_engine(login)
        yield lambda service: MysqlLedger(engine, service)
        engine.dispose()
    else:
        on_loop = async_mysql_engine(login)
        yield lambda service: AsyncMysqlLedger(on_loop, service)
        await on_loop.dispose()


@pytest.fixture
def service() -> str:
    """A service that did nothing yet."""
    return uuid4().hex[:12]


@pytest.fixture
def ledger(make: MakeLedger, service: str) -> Ledger:
    return make(service)


def advance(name: str, offset: int) -> Callable[[Work], None]:
    return lambda work: work.advance(name, 0, offset)


def send(*messages: Message) -> Callable[[Work], None]:
    def transaction(work: Work) -> None:
        for one in messages:
            work.send(one)

    return transaction


def waiting(outbox: list[tuple[int, Message]]) -> list[bytes]:
    return [one.value for _, one in outbox]


async def test_a_service_begins_with_nothing(ledger: Ledger) -> None:
    """No mark is the mark 0, and nothing waits to be sent."""
    assert await ledger.run(lambda work: work.mark("t", 0)) == 0
    assert await ledger.marks() == {}
    assert await ledger.outbox() == []


async def test_marks_are_kept_by_topic_and_partition(ledger: Ledger) -> None:
    """An offset is the next one to take; the last one said counts."""

    def transaction(work: Work) -> int:
        work.advance("a", 0, 5)
        work.advance("a", 1, 7)
        work.advance("b", 0, 2**40)
        work.advance("a", 0, 6)
        return work.mark("a", 0)

    assert await ledger.run(transaction) == 6
    assert await ledger.marks() == {("a", 0): 6, ("a", 1): 7, ("b", 0): 2**40}


async def test_a_transaction_answers_what_it_returns(ledger: Ledger) -> None:
    """Its result is that of `run`."""
    assert await ledger.run(lambda _work: "done") == "done"


async def test_a_transaction_that_raises_keeps_nothing(ledger: Ledger) -> None:
    """Effect, mark and outgoing events are kept together or not at all; the error itself passes."""
    await ledger.run(advance("t", 3))

    def transaction(work: Work) -> None:
        work.advance("t", 0, 4)
        work.send(message("out"))
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        await ledger.run(transaction)
    assert await ledger.marks() == {("t", 0): 3}
    assert await ledger.outbox() == []


async def test_the_outbox_keeps_its_order(ledger: Ledger) -> None:
    """Within a transaction and between them: events leave as they were written."""
    await ledger.run(send(message("o", value=b"1"), message("o", value=b"2")))
    await ledger.run(send(message("o", value=b"3")))
    assert waiting(await ledger.outbox()) == [b"1", b"2", b"3"]


async def test_the_outbox_keeps_messages_exactly(ledger: Ledger) -> None:
    """Topic, key, the order of headers, bytes that are no text, and more than a small column holds."""
    headers = (("ce_id", "año/1 🏠".encode()), ("a", b""), ("a", b"twice"))
    sent = message("o", "Año/3", b"\x00\xff'\"\\" * 50_000, headers)
    await ledger.run(send(sent))
    ((_, found),) = await ledger.outbox()
    assert found == sent


async def test_what_was_sent_leaves_the_outbox(ledger: Ledger) -> None:
    """Only that: what was written meanwhile stays."""
    await ledger.run(send(message("o", value=b"1"), message("o", value=b"2")))
    taken = await ledger.outbox()
    await ledger.run(send(message("o", value=b"3")))
    await ledger.sent([number for number, _ in taken])
    assert waiting(await ledger.outbox()) == [b"3"]
    await ledger.sent([])
    assert waiting(await ledger.outbox()) == [b"3"]


async def test_two_services_do_not_see_each_other(make: MakeLedger, service: str) -> None:
    """In outbox and marks each service has its own rows."""
    one, other = make(service), make(f"{service}-2")
    await one.run(advance("t", 5))
    await one.run(send(message("o", value=b"1")))
    await other.run(advance("t", 9))
    await other.run(send(message("o", value=b"2")))
    assert (await one.marks(), await other.marks()) == ({("t", 0): 5}, {("t", 0): 9})
    assert (waiting(await one.outbox()), waiting(await other.outbox())) == ([b"1"], [b"2"])
    await one.sent([number for number, _ in await one.outbox()])
    assert waiting(await other.outbox()) == [b"2"]


async def test_a_ledger_outlives_its_object(world: World, service: str) -> None:
    """What one process kept, the next one finds, through either driver."""
    engine, on_loop = mysql_engine(world.mysql("loader")), async_mysql_engine(world.mysql("loader"))
    await MysqlLedger(engine, service).run(advance("t", 5))
    await MysqlLedger(engine, service).run(send(message("o", value=b"1")))
    found = AsyncMysqlLedger(on_loop, service)
    assert await found.marks() == {("t", 0): 5}
    assert waiting(await found.outbox()) == [b"1"]
    engine.dispose()
    await on_loop.dispose()


@pytest.mark.failure("F23")
@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
async def test_a_database_that_is_away_is_waited_for(driver: str) -> None:
    """Retry, and it names mysql."""
    nowhere = MysqlSettings.model_validate({"host": "127.0.0.1", "port": 9, "user": "u", "password": "p"})
    ledger: Ledger = (
        MysqlLedger(mysql_engine(nowhere), "s")
        if driver == "pymysql"
        else AsyncMysqlLedger(async_mysql_engine(nowhere), "s")
    )
    with pytest.raises(Retry) as caught:
        await ledger.marks()
    assert caught.value.what == "mysql"
