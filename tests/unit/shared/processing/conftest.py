"""The service of these tests."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from support.consumer_service import ConsumerService


@pytest.fixture
def service() -> ConsumerService:
    return ConsumerService()


@pytest.fixture(autouse=True)
def no_tracebacks() -> Iterator[None]:
    """The console shows a traceback with all variables, which takes seconds."""
    with capture_logs():
        yield
