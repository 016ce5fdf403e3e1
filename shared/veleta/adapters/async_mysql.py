"""Units of work in MySQL (or MariaDB) for services on one event loop, through asyncmy."""

from collections.abc import Callable
from typing import Generic

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from veleta.adapters.mysql import CONNECT_ARGUMENTS, POOL_ARGUMENTS, database_errors, database_url
from veleta.ports import T, U
from veleta.settings import MysqlSettings
from veleta.tables import schemas


def async_mysql_engine(settings: MysqlSettings) -> AsyncEngine:
    """An asyncmy engine for the running event loop, with the deployment's schema names."""
    engine = create_async_engine(database_url(settings, "asyncmy"), connect_args=CONNECT_ARGUMENTS, **POOL_ARGUMENTS)
    return engine.execution_options(schema_translate_map=schemas(settings.prefix))


class AsyncMysqlTransactions(Generic[U]):
    """`Transactions` through asyncmy, on the event loop."""

    def __init__(self, engine: AsyncEngine, unit_of_work: Callable[[sa.Connection], U]) -> None:
        self._engine = engine
        self._unit_of_work = unit_of_work

    async def run(self, transaction: Callable[[U], T]) -> T:
        with database_errors():
            async with self._engine.begin() as connection:
                return await connection.run_sync(lambda sql: transaction(self._unit_of_work(sql)))
