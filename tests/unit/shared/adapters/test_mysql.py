"""Which errors of the database are retried."""

import pytest
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from veleta.adapters.mysql import database_errors
from veleta.errors import Retry


def driver_error(kind: type[DBAPIError], code: int, state: str = "HY000", *, invalidated: bool = False) -> DBAPIError:
    """An error as SQLAlchemy raises it. `code` is the server's error number, and `state` its SQLSTATE."""
    error = Exception(code, "text")
    error.sqlstate = state  # type: ignore[attr-defined]  # as the drivers set it
    return kind("INSERT", None, error, connection_invalidated=invalidated)


@pytest.mark.failure("F23", "F322")
@pytest.mark.parametrize(
    "error",
    [
        driver_error(OperationalError, 2003),
        driver_error(OperationalError, 1205),
        driver_error(OperationalError, 1213),
        driver_error(OperationalError, 1021),
        driver_error(OperationalError, 1114),
        driver_error(InternalError, 3),
        driver_error(InternalError, 28),
        driver_error(InterfaceError, 0),
        driver_error(ProgrammingError, 1146),
        driver_error(ProgrammingError, 1049),
        driver_error(DBAPIError, 0, invalidated=True),
        ConnectionResetError("reset"),
        EOFError(),
        PoolTimeoutError("QueuePool limit of size 5 overflow 10 reached"),
    ],
    ids=[
        "refused",
        "lock wait",
        "deadlock",
        "full disk, waiting",
        "full table",
        "full temporary file",
        "full disk",
        "interface",
        "no table",
        "no database",
        "invalidated",
        "reset",
        "eof",
        "pool",
    ],
)
def test_an_unavailable_database_is_a_retry(error: Exception) -> None:
    """Which names mysql."""
    with pytest.raises(Retry) as caught, database_errors():
        raise error
    assert caught.value.dependency == "mysql"


@pytest.mark.failure("F148")
@pytest.mark.parametrize(
    "error",
    [
        driver_error(OperationalError, 1292, "22007"),
        driver_error(OperationalError, 3141, "22032"),
        driver_error(OperationalError, 3669, "22003"),
        driver_error(OperationalError, 3819),
        driver_error(OperationalError, 4025, "23000"),
        *(driver_error(OperationalError, code) for code in (4035, 4036, 4037, 4038, 4039, 4040, 4176, 4178, 4179)),
        driver_error(DataError, 1406),
        driver_error(DataError, 1264),
        driver_error(IntegrityError, 1062),
        driver_error(ProgrammingError, 1064),
        ValueError("a bug"),
    ],
    ids=[
        "wrong value",
        "JSON",
        "JSON value out of range",
        "check",
        "check of MariaDB",
        *(f"JSON of MariaDB {code}" for code in (4035, 4036, 4037, 4038, 4039, 4040, 4176, 4178, 4179)),
        "too long",
        "out of range",
        "duplicate key",
        "syntax",
        "bug",
    ],
)
def test_an_error_of_the_data_is_not_retried(error: Exception) -> None:
    """It passes through, so the record is dead-lettered after some attempts."""
    with pytest.raises(type(error)) as caught, database_errors():
        raise error
    assert caught.value is error
