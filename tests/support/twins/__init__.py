"""In-memory twins of adapters and repositories. They pass the same contract suites as Kafka, MySQL and MLflow."""

from pymysql.err import IntegrityError as DriverError
from sqlalchemy.exc import IntegrityError


def duplicate_key(key: object) -> IntegrityError:
    """The error of MySQL for a row whose key exists."""
    return IntegrityError("INSERT", None, DriverError(1062, f"duplicate key {key}", sqlstate="23000"))
