"""The ledger in MySQL (or MariaDB) for services on one event loop, through asyncmy."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from veleta.adapters.mysql import CONNECT, POOL, SqlLedger, SqlWork, address, database
from veleta.ports import T, Work
from veleta.settings import MysqlSettings
from veleta.tables import schemas


def async_mysql_engine(settings: MysqlSettings) -> AsyncEngine:
    """An engine of asyncmy for the running event loop, with the deployment's names for the schemas."""
    engine = create_async_engine(address(settings, "asyncmy"), connect_args=CONNECT, **POOL)
    return engine.execution_options(schema_translate_map=schemas(settings.prefix))


class AsyncMysqlLedger(SqlLedger):
    """`Ledger` through asyncmy, on the event loop."""

    def __init__(self, engine: AsyncEngine, service: str) -> None:
        super().__init__(service)
        self._engine = engine

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """See `Ledger.run`."""
        with database():
            async with self._engine.begin() as connection:
                return await connection.run_sync(lambda sql: transaction(SqlWork(sql, self._service)))
