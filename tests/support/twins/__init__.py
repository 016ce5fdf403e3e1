"""In-memory twins of adapters and repositories. They pass the same contract suites as Kafka, MySQL and MLflow."""

from sqlalchemy.exc import IntegrityError


def duplicate_key(key: object) -> IntegrityError:
    """The error of MySQL for a row whose primary key exists."""
    return IntegrityError("INSERT", None, ValueError(f"duplicate key {key}"))
