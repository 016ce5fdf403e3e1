"""Calls to a MySQL server that accepts connections and does not answer."""

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from support.proxy import frozen_server
from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine, check_mysql
from veleta.adapters.mysql import MysqlTransactions, MysqlUnitOfWork, mysql_check, mysql_engine
from veleta.errors import Retry
from veleta.settings import MysqlSettings

SECONDS = 0.2
LIMIT = 10
"""Seconds after which a test fails whose call has no time-out."""


@pytest.fixture
def frozen() -> Iterator[MysqlSettings]:
    """The login of a frozen server."""
    with frozen_server() as port:
        yield MysqlSettings.model_validate({"host": "127.0.0.1", "port": port, "user": "u", "password": "p"})


def unit_of_work(connection: sa.Connection) -> MysqlUnitOfWork:
    return MysqlUnitOfWork(connection, "s")


@pytest.mark.failure("F223")
@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
async def test_a_transaction_on_a_frozen_server_is_a_retry(frozen: MysqlSettings, driver: str) -> None:
    """With both drivers."""
    transactions: MysqlTransactions[MysqlUnitOfWork] | AsyncMysqlTransactions[MysqlUnitOfWork] = (
        MysqlTransactions(mysql_engine(frozen, SECONDS), unit_of_work)
        if driver == "pymysql"
        else AsyncMysqlTransactions(async_mysql_engine(frozen, SECONDS), unit_of_work)
    )
    with pytest.raises(Retry) as caught:
        async with asyncio.timeout(LIMIT):
            await transactions.run(lambda uow: uow.checkpoints.load_all())
    assert caught.value.dependency == "mysql"


@pytest.mark.failure("F223")
async def test_a_check_of_a_frozen_server_is_a_retry(frozen: MysqlSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both drivers."""
    monkeypatch.setattr("veleta.adapters.mysql.CHECK_SECONDS", SECONDS)
    for check in (mysql_check(frozen), partial(check_mysql, async_mysql_engine(frozen, SECONDS))):
        with pytest.raises(Retry, match="mysql"):
            async with asyncio.timeout(LIMIT):
                await check()
