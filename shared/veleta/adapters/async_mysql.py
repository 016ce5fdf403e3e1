"""Units of work in MySQL (or MariaDB) for services on one event loop, through asyncmy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from veleta.adapters.mysql import POOL_ARGUMENTS, connect_arguments, database_errors, database_url, set_keepalive
from veleta.errors import Retry, VeletaError
from veleta.ports import T, U
from veleta.settings import MysqlSettings
from veleta.tables import schemas
from veleta.timeouts import IDLE_SECONDS, STATEMENT_SECONDS, TRANSACTION_SECONDS


def async_mysql_engine(
    settings: MysqlSettings, seconds: float = STATEMENT_SECONDS, idle_seconds: int = IDLE_SECONDS
) -> AsyncEngine:
    """An asyncmy engine for the event loop of its first use, with the deployment's schema names.

    The time-outs are those of `mysql_engine`.
    """
    arguments = connect_arguments(seconds, idle_seconds)
    engine = create_async_engine(database_url(settings, "asyncmy"), connect_args=arguments, **POOL_ARGUMENTS)

    @sa.event.listens_for(engine.sync_engine, "connect")
    def keep_alive(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        set_keepalive(connection.driver_connection._transport.get_extra_info("socket"))

    return engine.execution_options(schema_translate_map=schemas(settings.prefix))


class AsyncMysqlTransactions(Generic[U]):
    """`Transactions` through asyncmy, on the event loop."""

    def __init__(self, engine: AsyncEngine, unit_of_work: Callable[[sa.Connection], U]) -> None:
        self._engine = engine
        self._unit_of_work = unit_of_work

    async def run(self, transaction: Callable[[U], T]) -> T:
        with database_errors():
            async with asyncio.timeout(TRANSACTION_SECONDS), _begin(self._engine) as connection:
                return await connection.run_sync(lambda sql: transaction(self._unit_of_work(sql)))


async def check_mysql(engine: AsyncEngine) -> None:
    """Check that MySQL answers, for `watch_dependency`. Raises Retry."""
    with database_errors():
        async with _begin(engine) as connection:
            await connection.execute(sa.select(1))


@contextlib.asynccontextmanager
async def _begin(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction. An error of any type is a Retry if there is no connection, or no longer one (asyncmy#158)."""
    driver: Any = None
    try:
        async with engine.begin() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            yield connection
    except (VeletaError, SQLAlchemyError, OSError, EOFError):
        raise
    except Exception as error:
        if driver is not None and driver.connected:
            raise
        raise Retry("mysql", f"{type(error).__name__} {error}") from error
