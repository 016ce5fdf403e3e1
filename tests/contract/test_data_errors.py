"""Errors of a real database: a fault of the row is no outage, with either driver."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.exc import DBAPIError

from support.testbed import Testbed
from veleta.adapters.async_mysql import async_mysql_engine
from veleta.adapters.mysql import database_errors, mysql_engine

Execute = Callable[[str], Awaitable[None]]
COLUMNS = """
    id INTEGER PRIMARY KEY AUTO_INCREMENT, name VARCHAR(5) UNIQUE, number INTEGER, amount DECIMAL(5, 2), day DATE,
    moment DATETIME(6), kind ENUM('a', 'b'), document JSON, required VARCHAR(5) NOT NULL DEFAULT 'x',
    positive INTEGER CHECK (positive > 0), latin VARCHAR(5) CHARACTER SET ascii
"""
FAULTS = {
    "text too long": "(name) VALUES ('too long')",
    "number out of range": "(number) VALUES (99999999999)",
    "decimal out of range": "(amount) VALUES (12345.6)",
    "text for a number": "(number) VALUES ('many')",
    "no text for a number": "(number) VALUES ('')",
    "overflow": "(amount) VALUES (9223372036854775807 + 1)",
    "invalid date": "(day) VALUES ('2026-02-31')",
    "no date": "(day) VALUES ('yesterday')",
    "no time": "(moment) VALUES ('2026-01-02 25:00:00')",
    "another value": "(kind) VALUES ('c')",
    "invalid JSON": "(document) VALUES ('{\"a\":')",
    "null": "(required) VALUES (NULL)",
    "check": "(positive) VALUES (-1)",
    "duplicate key": "(name) VALUES ('x'), ('x')",
    "not in the character set": "(latin) VALUES (CONVERT(UNHEX('C3A9') USING utf8mb4))",
    "invalid UTF-8": "(name) VALUES (UNHEX('FF'))",
}


@pytest.fixture(params=["pymysql", "asyncmy"])
async def execute(request: pytest.FixtureRequest, testbed: Testbed) -> AsyncIterator[Execute]:
    """Executes an INSERT into a table of a connection."""
    table = f"{testbed.prefix}RAW_DATA.faults"
    create = f"CREATE TEMPORARY TABLE {table} ({COLUMNS})"
    if request.param == "pymysql":
        engine = mysql_engine(testbed.mysql("admin"))

        async def insert(values: str) -> None:
            with database_errors(), engine.begin() as connection:
                connection.exec_driver_sql(create)
                connection.exec_driver_sql(f"INSERT INTO {table} {values}")

        yield insert
        engine.dispose()
    else:
        async_engine = async_mysql_engine(testbed.mysql("admin"))

        async def insert_async(values: str) -> None:
            with database_errors():
                async with async_engine.begin() as connection:
                    await connection.exec_driver_sql(create)
                    await connection.exec_driver_sql(f"INSERT INTO {table} {values}")

        yield insert_async
        await async_engine.dispose()


@pytest.mark.failure("F284")
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_row_is_no_outage(execute: Execute, fault: str) -> None:
    """It is raised as the driver's error, and not as Retry."""
    with pytest.raises(DBAPIError):
        await execute(FAULTS[fault])


async def test_a_valid_row_has_no_error(execute: Execute) -> None:
    """The table accepts it."""
    await execute("(name, number, day, document, positive) VALUES ('x', 1, '2026-02-28', '{}', 1)")
