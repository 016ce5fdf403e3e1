"""What a process says of itself, and how it waits."""

import asyncio

import pytest

from veleta.errors import Reject, Retry
from veleta.service import health as health_module
from veleta.service.health import ServiceHealth, watch_dependency


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> ServiceHealth:
    """A life with pauses of a millisecond."""
    monkeypatch.setattr(health_module, "INITIAL_BACKOFF", 0.001)
    monkeypatch.setattr(health_module, "MAX_BACKOFF", 0.001)
    return ServiceHealth("loader")


def test_a_process_is_not_ready_before_it_started(health: ServiceHealth) -> None:
    """Nobody should be sent to it too early."""
    assert health.unavailable == {"start": "not yet started"}
    health.mark_started()
    assert health.unavailable == {}


def test_what_is_missing_is_named_with_its_reason(health: ServiceHealth) -> None:
    """Each thing once, with the last reason; found again, it is forgotten."""
    health.mark_started()
    health.set_unavailable("kafka", "no broker")
    health.set_unavailable("kafka", "still no broker")
    health.set_unavailable("mysql", "no database")
    assert health.unavailable == {"kafka": "still no broker", "mysql": "no database"}
    health.set_available("kafka")
    health.set_available("kafka")
    assert health.unavailable == {"mysql": "no database"}


def test_a_halt_stays(health: ServiceHealth) -> None:
    """Only a new start mends it; the process lives on to say why."""
    health.mark_started()
    health.stop_consuming("three dead letters")
    health.set_available("loader")
    assert health.unavailable == {"loader": "three dead letters"}
    assert health.alive


def test_a_loop_without_progress_is_dead(health: ServiceHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    """After QUIET_SECONDS; every beat begins them anew."""
    assert health.alive
    monkeypatch.setattr(health_module, "LIVENESS_SECONDS", 0.0)
    assert not health.alive
    monkeypatch.undo()
    health.set_activity("loading")
    assert health.alive
    assert health.activity == "loading"


async def test_patience_waits_until_nothing_is_away(health: ServiceHealth) -> None:
    """While it waits, it says for what; afterwards, nothing is missing."""
    health.mark_started()
    answers = iter([Retry("kafka", "away"), Retry("mysql", "away"), Retry("kafka", "away")])
    seen = []

    async def call() -> str:
        seen.append(dict(health.unavailable))
        if (error := next(answers, None)) is not None:
            raise error
        return "done"

    assert await health.retry_until_available(call) == "done"
    both = {"kafka": "kafka: away", "mysql": "mysql: away"}
    assert seen == [{}, {"kafka": "kafka: away"}, both, both]
    assert health.unavailable == {}


async def test_patience_is_for_what_is_away_only(health: ServiceHealth) -> None:
    """Every other error passes at once."""

    async def call() -> None:
        raise Reject("never")

    with pytest.raises(Reject):
        await health.retry_until_available(call)


async def test_patience_ends_with_the_service(health: ServiceHealth) -> None:
    """A service that is told to stop does not wait for a broker."""

    async def call() -> None:
        health.stopping.set()
        raise Retry("kafka", "away")

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


async def test_a_pause_ends_early_when_the_service_stops(health: ServiceHealth) -> None:
    """True when the time is up, False when the service stops."""
    assert await health.sleep(0.001)
    health.stopping.set()
    assert not await health.sleep(3600.0)


async def test_a_watch_says_when_a_part_gives_no_sign_of_life(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when it does again; it ends with the service."""
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.001)
    health.mark_started()
    seen: list[dict[str, str]] = []

    async def check() -> None:
        seen.append(health.unavailable)
        if len(seen) == 1:
            raise Retry("kafka", "away")
        if len(seen) == 3:
            health.stopping.set()

    await watch_dependency("kafka", check, health)
    assert seen == [{}, {"kafka": "kafka: away"}, {}]
