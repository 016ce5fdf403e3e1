"""Units of work in MySQL (or MariaDB). Services with threads use PyMySQL; `async_mysql` uses asyncmy."""

import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Generic

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.ports import Checkpoints, T, U
from veleta.settings import MysqlSettings
from veleta.tables import checkpoints, outbox, own_rows, schemas
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS, IDLE_SECONDS, KEEPALIVE, LOCK_SECONDS, STATEMENT_SECONDS

OUTBOX_BATCH = 200
SESSION_SETTINGS = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "collation_connection = 'utf8mb4_bin', transaction_isolation = 'READ-COMMITTED', "
    f"innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}, wait_timeout = "
)
"""The settings whose defaults differ between MySQL 8.4 and MariaDB 11.4, and time-outs. The value of wait_timeout
follows: with it the server ends the transaction of a client that is gone."""
DATA_STATES = ("22", "23")
"""Classes of SQLSTATE: a wrong value, or a row that a constraint forbids."""
DATA_ERRORS = frozenset({3819, *range(4035, 4041), 4176, 4178, 4179})
"""Faults of the data whose SQLSTATE is only HY000: a failed CHECK (MySQL), and JSON (MariaDB)."""
MISSING_OBJECT_ERRORS = {1049, 1146}
"""No such database, no such table: it was wiped, and `veleta_prepare` has not recreated it yet."""
MAX_FILE_ERROR = 999
"""The server's errors up to this one are of its files, such as a write to a full disk. Drivers call them internal."""
POOL_ARGUMENTS: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800, "pool_use_lifo": True}


def database_url(settings: MysqlSettings, driver: str) -> sa.URL:
    """The URL for a driver, `pymysql` or `asyncmy`, without a default database: every table names its schema."""
    password = settings.password.get_secret_value()
    return sa.URL.create(f"mysql+{driver}", settings.user, password, settings.host, settings.port)


def connect_arguments(seconds: float, idle_seconds: int) -> dict[str, Any]:
    """The arguments of both drivers for a connection that waits `seconds` for an answer at most."""
    session = f"{SESSION_SETTINGS}{idle_seconds}"
    return {"charset": "utf8mb4", "init_command": session, "connect_timeout": CHECK_SECONDS, "read_timeout": seconds}


def mysql_engine(
    settings: MysqlSettings, seconds: float = STATEMENT_SECONDS, idle_seconds: int = IDLE_SECONDS
) -> sa.Engine:
    """An engine of PyMySQL, with the deployment's names for the schemas.

    A statement without an answer for `seconds` raises Retry. After `idle_seconds` without a statement the server rolls
    back.
    """
    arguments = connect_arguments(seconds, idle_seconds) | {"write_timeout": seconds}
    engine = sa.create_engine(database_url(settings, "pymysql"), connect_args=arguments, **POOL_ARGUMENTS)
    sa.event.listen(engine, "connect", lambda connection, _record: set_keepalive(connection._sock))
    return engine.execution_options(schema_translate_map=schemas(settings.prefix))


def set_keepalive(connection: socket.socket) -> None:
    """Set TCP keepalive."""
    for option in KEEPALIVE:
        connection.setsockopt(*option)


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Translate errors that mean "unavailable" to Retry. All other errors, such as those of the data, pass through."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if is_data_error(error):
            raise
        raise Retry("mysql", error.orig) from error
    except DBAPIError as error:
        code = _error_code(error)
        if error.connection_invalidated or code in MISSING_OBJECT_ERRORS or _is_of_files(code):
            raise Retry("mysql", error.orig) from error
        raise
    except PoolTimeoutError as error:
        raise Retry("mysql", "all connections are in use") from error
    except SQLAlchemyError:
        raise
    except (OSError, EOFError) as error:
        raise Retry("mysql", error) from error


def _is_of_files(code: object) -> bool:
    return isinstance(code, int) and 0 < code <= MAX_FILE_ERROR


def is_data_error(error: DBAPIError) -> bool:
    """Whether a statement failed because of its data. Drivers report many such errors as operational ones."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(DATA_STATES) or _error_code(error) in DATA_ERRORS


def _error_code(error: DBAPIError) -> object:
    """The server's error number."""
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


class MysqlCheckpoints:
    """`CheckpointRepository` on one connection."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._own = own_rows(checkpoints, service)

    def load(self, topic: str, partition: int) -> int:
        columns = self._own.c
        query = sa.select(columns.next_offset).where(columns.topic == topic, columns.partition_no == partition)
        return int(self._connection.scalar(query.with_for_update()) or 0)

    def load_all(self) -> Checkpoints:
        columns = self._own.c.topic, self._own.c.partition_no, self._own.c.next_offset
        rows = self._connection.execute(sa.select(*columns))
        return {(topic, partition): offset for topic, partition, offset in rows}

    def save(self, topic: str, partition: int, offset: int) -> None:
        row = {"service": self._service, "topic": topic, "partition_no": partition, "next_offset": offset}
        self._connection.execute(insert(self._own).values(row).on_duplicate_key_update(next_offset=offset))


class MysqlOutbox:
    """`OutboxRepository` on one connection."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._own = own_rows(outbox, service)

    def append(self, message: Message) -> None:
        self._connection.execute(
            sa.insert(self._own).values(
                service=self._service,
                topic=message.topic,
                record_key=message.key,
                headers=[[name, value.decode()] for name, value in message.headers],
                value=message.value,
            )
        )

    def oldest(self) -> list[tuple[int, Message]]:
        rows = self._connection.execute(sa.select(self._own).order_by(self._own.c.id).limit(OUTBOX_BATCH))
        return [(row.id, Message(row.topic, row.record_key, _headers(row.headers), row.value)) for row in rows]

    def delete(self, ids: Sequence[int]) -> None:
        self._connection.execute(sa.delete(self._own).where(self._own.c.id.in_(ids)))


class MysqlUnitOfWork:
    """`UnitOfWork` on one connection, for one service. A service's own class adds its repositories."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self.checkpoints = MysqlCheckpoints(connection, service)
        self.outbox = MysqlOutbox(connection, service)


def mysql_check(settings: MysqlSettings) -> Callable[[], Awaitable[object]]:
    """A check that MySQL answers, for `watch_dependency`: on a connection of its own. It raises Retry."""
    engine = mysql_engine(settings, CHECK_SECONDS)

    def check() -> None:
        with database_errors(), engine.connect() as connection:
            connection.execute(sa.select(1))

    return partial(call_in_thread, check)


class MysqlTransactions(Generic[U]):
    """`Transactions` through PyMySQL, each in a thread of its own."""

    def __init__(self, engine: sa.Engine, unit_of_work: Callable[[sa.Connection], U]) -> None:
        self._engine = engine
        self._unit_of_work = unit_of_work

    async def run(self, transaction: Callable[[U], T]) -> T:
        return await call_in_thread(partial(self._run, transaction))

    def _run(self, transaction: Callable[[U], T]) -> T:
        with database_errors(), self._engine.begin() as connection:
            return transaction(self._unit_of_work(connection))


def _headers(stored: list[list[str]] | str) -> tuple[tuple[str, bytes], ...]:
    """MariaDB returns JSON as text, MySQL as a list."""
    pairs = json.loads(stored) if isinstance(stored, str) else stored
    return tuple((name, value.encode()) for name, value in pairs)
