"""Clients of kafka-python."""

import logging

import pytest
from kafka.errors import Cancelled, KafkaError, NodeNotReadyError

import veleta.adapters.kafka_clients  # noqa: F401 - it adds the filter


@pytest.mark.parametrize(("error", "logged"), [(Cancelled(), False), (NodeNotReadyError("metadata"), True)])
def test_a_request_that_a_closed_client_cancels_is_no_error(error: KafkaError, *, logged: bool) -> None:
    """The library logs it as one. Other failures of the same request stay in the log."""
    logger = logging.getLogger("kafka.cluster")
    line = logger.makeRecord(logger.name, logging.ERROR, "", 0, "Metadata refresh: failed %s", (error,), None)
    assert bool(logger.filter(line)) is logged
