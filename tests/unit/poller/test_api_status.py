"""The API's part of the poller's readiness."""

import pytest

from veleta.service.health import ServiceHealth
from veleta_poller.api_status import MAX_REFUSALS, ApiStatus
from veleta_poller.domain.responses import EndOfData, InvalidResponse


@pytest.fixture
def health() -> ServiceHealth:
    return ServiceHealth("poller")


@pytest.mark.failure("F172")
def test_an_api_that_only_refuses_is_unavailable(health: ServiceHealth) -> None:
    """From its first response on, with the reason of the last one. This is then all that is missing."""
    status = ApiStatus(health)
    for reason in ("404", "502"):
        status.update(InvalidResponse(reason))
        assert health.unavailable == {"api": reason}
    status.update(EndOfData())
    assert health.ready


@pytest.mark.failure("F172")
def test_single_refusals_between_batches_do_not_matter(health: ServiceHealth) -> None:
    """The third in a row does, until the next batch. An interruption ends with the next response."""
    status = ApiStatus(health)
    status.update(EndOfData())
    health.set_unavailable("api", "interrupted")
    for number in range(1, MAX_REFUSALS + 1):
        status.update(InvalidResponse(f"refusal {number}"))
        assert ("api" in health.unavailable) is (number >= MAX_REFUSALS)
    status.update(EndOfData())
    status.update(InvalidResponse("one"))
    assert "api" not in health.unavailable


@pytest.mark.failure("F171")
def test_a_refused_request_is_repeated_sooner_than_the_interval(health: ServiceHealth) -> None:
    """With a growing pause, and never sooner than the API asks."""
    status = ApiStatus(health)
    assert status.pause(60, retry_after=0) == 60
    pauses = []
    for _ in range(6):
        status.update(InvalidResponse("no"))
        pauses.append(status.pause(60, retry_after=0))
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert status.pause(2, retry_after=0) == 2
    assert status.pause(2, retry_after=90) == 90
    for _ in range(2_000):
        status.update(InvalidResponse("no"))
    assert status.pause(1e9, retry_after=0) == 5 * 2**10
    status.update(EndOfData())
    assert status.pause(60, retry_after=90) == 60
