"""Liveness and readiness of a process, and how it retries."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from veleta.errors import Reject, Retry
from veleta.service import health as health_module
from veleta.service.health import LIVENESS_SECONDS, ServiceHealth, watch_dependency


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> ServiceHealth:
    """A health whose retries pause for a millisecond."""
    monkeypatch.setattr(health_module, "INITIAL_BACKOFF", 0.001)
    monkeypatch.setattr(health_module, "MAX_BACKOFF", 0.001)
    return ServiceHealth("loader")


def test_a_process_is_not_ready_before_it_has_started(health: ServiceHealth) -> None:
    """It gets no traffic before start-up is complete."""
    assert health.unavailable == {"start": "not yet started"}
    health.mark_started()
    assert health.unavailable == {}


def test_each_unavailable_dependency_is_named_with_its_reason(health: ServiceHealth) -> None:
    """Once, with the last reason. An available dependency is not listed."""
    health.mark_started()
    health.set_unavailable("kafka", "no broker")
    health.set_unavailable("kafka", "still no broker")
    health.set_unavailable("mysql", "no database")
    assert health.unavailable == {"kafka": "still no broker", "mysql": "no database"}
    health.set_available("kafka")
    health.set_available("kafka")
    assert health.unavailable == {"mysql": "no database"}


def test_a_service_that_stopped_consuming_stays_not_ready(health: ServiceHealth) -> None:
    """Until it is restarted. The process stays alive, so that /readyz shows the reason."""
    health.mark_started()
    health.stop_consuming("three dead letters")
    health.set_available("loader")
    assert health.unavailable == {"loader": "three dead letters"}
    assert health.alive


def test_a_process_is_alive_for_a_limited_time_after_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """LIVENESS_SECONDS after the last heartbeat it is not alive, and just before it is."""
    clock = 1_000.0
    monkeypatch.setattr(health_module, "time", SimpleNamespace(monotonic=lambda: clock))
    health = ServiceHealth("loader")
    clock += LIVENESS_SECONDS - 0.001
    assert health.alive
    clock += 0.001
    assert not health.alive
    health.set_activity("loading")
    assert (health.alive, health.activity) == (True, "loading")
    clock += LIVENESS_SECONDS
    assert not health.alive
    health.heartbeat()
    assert health.alive


async def test_a_sleeping_process_is_alive(health: ServiceHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sleep is a heartbeat, so a long wait for a dependency does not restart the process."""
    later = time.monotonic() + LIVENESS_SECONDS
    monkeypatch.setattr(health_module, "time", SimpleNamespace(monotonic=lambda: later))
    assert not health.alive
    health.stopping.set()
    await health.sleep(1)
    assert health.alive


async def test_a_call_is_retried_until_all_dependencies_are_available(health: ServiceHealth) -> None:
    """Meanwhile each unavailable dependency is listed, and afterwards none."""
    health.mark_started()
    errors = iter([Retry("kafka", "down"), Retry("mysql", "down"), Retry("kafka", "down")])
    unavailable = []

    async def call() -> str:
        unavailable.append(dict(health.unavailable))
        if (error := next(errors, None)) is not None:
            raise error
        return "done"

    assert await health.retry_until_available(call) == "done"
    both = {"kafka": "kafka: down", "mysql": "mysql: down"}
    assert unavailable == [{}, {"kafka": "kafka: down"}, both, both]
    assert health.unavailable == {}


async def test_other_errors_are_not_retried(health: ServiceHealth) -> None:
    """They are raised at once."""

    async def call() -> None:
        raise Reject("never")

    with pytest.raises(Reject):
        await health.retry_until_available(call)


async def test_retries_end_when_the_service_stops(health: ServiceHealth) -> None:
    """A stopping service does not wait for Kafka."""

    async def call() -> None:
        health.stopping.set()
        raise Retry("kafka", "down")

    with pytest.raises(asyncio.CancelledError):
        await health.retry_until_available(call)


async def test_the_backoff_grows_up_to_its_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short outage ends soon, and a long one does not cause a call every 0.2 s."""
    health, slept = ServiceHealth("loader"), list[float]()

    async def sleep(seconds: float) -> bool:
        slept.append(seconds)
        return len(slept) < 8

    async def call() -> None:
        raise Retry("kafka", "unreachable")

    monkeypatch.setattr(health, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await health.retry_until_available(call)
    assert slept == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


async def test_a_sleep_ends_early_when_the_service_stops(health: ServiceHealth) -> None:
    """It returns True after the full time, and False if the service stops."""
    assert await health.sleep(0.001)
    health.stopping.set()
    assert not await health.sleep(3600.0)


async def test_a_watched_dependency_is_unavailable_until_its_check_succeeds(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch ends when the service stops."""
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(health_module, "RETRY_SECONDS", 0.001)
    health.mark_started()
    unavailable: list[dict[str, str]] = []

    async def check() -> None:
        unavailable.append(health.unavailable)
        if len(unavailable) == 1:
            raise Retry("kafka", "down")
        if len(unavailable) == 3:
            health.stopping.set()

    await watch_dependency("kafka", check, health)
    assert unavailable == [{}, {"kafka": "kafka: down"}, {}]
