"""The service of these tests."""

import pytest

from support.consumer_service import ConsumerService


@pytest.fixture
def service() -> ConsumerService:
    return ConsumerService()
