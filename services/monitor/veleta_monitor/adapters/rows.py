"""Reads rows from MySQL."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from veleta.errors import Retry


def read_rows(engine: sa.Engine, query: sa.Executable) -> list[Mapping[str, Any]]:
    """The rows of a query. Blocks, and raises Retry if MySQL does not return them."""
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
    except (DBAPIError, OSError, EOFError) as error:
        raise Retry("mysql", _driver_message(error)) from error


def aware(at: datetime | None) -> datetime | None:
    """A time of MySQL. DATETIME has no time zone; all times are UTC."""
    return at.replace(tzinfo=UTC) if at else None


def _driver_message(error: Exception) -> str:
    """The message of MySQL or of its driver, without the text that SQLAlchemy adds."""
    args = (getattr(error, "orig", None) or error).args
    return str(args[-1]) if args else type(error).__name__
