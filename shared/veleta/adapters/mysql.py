"""The ledger in MySQL (or MariaDB) for services with threads, through PyMySQL; `async_mysql` shares most of it."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.ports import Marks, T, Work
from veleta.settings import MysqlSettings
from veleta.tables import marks, outbox, schemas

OUTBOX_GROUP = 200
SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "collation_connection = 'utf8mb4_bin', transaction_isolation = 'READ-COMMITTED'"
)
"""What MySQL 8.4 and MariaDB 11.4 do not agree on by default."""
CONNECT: dict[str, Any] = {"charset": "utf8mb4", "init_command": SESSION, "connect_timeout": 10}
DATA_FAULTS = {1292, 3819, 4025}
"""Wrong value, and a CHECK that fails (MySQL, MariaDB): drivers call these operational, yet the row is to blame."""
MISSING = {1049, 1146}
"""No such database, no such table: it was wiped, and the job that makes them is not done."""
POOL: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800}


def address(settings: MysqlSettings, driver: str) -> sa.URL:
    """The address for a driver, `pymysql` or `asyncmy`. No default database: every table names its own."""
    password = settings.password.get_secret_value()
    return sa.URL.create(f"mysql+{driver}", settings.user, password, settings.host, settings.port)


def mysql_engine(settings: MysqlSettings) -> sa.Engine:
    """An engine of PyMySQL, with the deployment's names for the schemas."""
    engine = sa.create_engine(address(settings, "pymysql"), connect_args=CONNECT, **POOL)
    return engine.execution_options(schema_translate_map=schemas(settings.prefix))


@contextlib.contextmanager
def database() -> Iterator[None]:
    """Errors that mean `away` become Retry; those of the data pass, for the caller knows what it sent.

    What is no error of the driver's own (asyncmy lets AttributeError and the like escape when a connection breaks)
    passes too when it was not raised by a connection.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if _code(error) in DATA_FAULTS:
            raise
        raise Retry("mysql", error.orig) from error
    except DBAPIError as error:
        if error.connection_invalidated or _code(error) in MISSING:
            raise Retry("mysql", error.orig) from error
        raise
    except SQLAlchemyError:
        raise
    except (OSError, EOFError) as error:
        raise Retry("mysql", error) from error


def _code(error: DBAPIError) -> object:
    """The server's number of an error."""
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


class SqlWork:
    """`Work` on one connection, for one service."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self.sql = connection
        self._service = service

    def mark(self, topic: str, partition: int) -> int:
        """See `Work.mark`."""
        found = self.sql.scalar(sa.select(marks.c.next_offset).where(*self._place(topic, partition)).with_for_update())
        return int(found or 0)

    def advance(self, topic: str, partition: int, offset: int) -> None:
        """See `Work.advance`."""
        row = {"service": self._service, "topic": topic, "partition_no": partition, "next_offset": offset}
        self.sql.execute(insert(marks).values(row).on_duplicate_key_update(next_offset=offset))

    def send(self, message: Message) -> None:
        """See `Work.send`."""
        headers = [[k, v.decode()] for k, v in message.headers]
        self.sql.execute(
            sa.insert(outbox).values(
                service=self._service,
                topic=message.topic,
                record_key=message.key,
                headers=headers,
                value=message.value,
            )
        )

    def _place(self, topic: str, partition: int) -> list[sa.ColumnElement[bool]]:
        return [marks.c.service == self._service, marks.c.topic == topic, marks.c.partition_no == partition]


class SqlLedger:
    """What both ledgers do; they differ in how a transaction is run."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """See `Ledger.run`."""
        raise NotImplementedError

    async def marks(self) -> Marks:
        """See `Ledger.marks`."""
        query = sa.select(marks.c.topic, marks.c.partition_no, marks.c.next_offset).where(
            marks.c.service == self._service
        )
        rows = await self.run(lambda work: work.sql.execute(query).all())
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def outbox(self) -> list[tuple[int, Message]]:
        """See `Ledger.outbox`."""
        query = sa.select(outbox).where(outbox.c.service == self._service).order_by(outbox.c.id).limit(OUTBOX_GROUP)
        rows = await self.run(lambda work: work.sql.execute(query).all())
        return [(row.id, Message(row.topic, row.record_key, _headers(row.headers), row.value)) for row in rows]

    async def sent(self, ids: Sequence[int]) -> None:
        """See `Ledger.sent`."""
        await self.run(lambda work: work.sql.execute(sa.delete(outbox).where(outbox.c.id.in_(ids))))


class MysqlLedger(SqlLedger):
    """`Ledger` through PyMySQL, in threads."""

    def __init__(self, engine: sa.Engine, service: str) -> None:
        super().__init__(service)
        self._engine = engine

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """See `Ledger.run`."""
        return await asyncio.to_thread(self._run, transaction)

    def _run(self, transaction: Callable[[Work], T]) -> T:
        with database(), self._engine.begin() as connection:
            return transaction(SqlWork(connection, self._service))


def _headers(kept: list[list[str]] | str) -> tuple[tuple[str, bytes], ...]:
    pairs = json.loads(kept) if isinstance(kept, str) else kept
    return tuple((k, v.encode()) for k, v in pairs)
