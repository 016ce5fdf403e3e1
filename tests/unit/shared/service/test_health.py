"""Liveness and readiness of a process, and how it retries."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace

import pytest

from support.testbed import wait_until
from veleta import timeouts
from veleta.errors import Reject, Retry, Stop
from veleta.service import health as health_module
from veleta.service.health import LIVENESS_SECONDS, ServiceHealth, watch_dependency


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> ServiceHealth:
    """A health whose retries pause for a millisecond."""
    monkeypatch.setattr(health_module, "INITIAL_BACKOFF", 0.001)
    monkeypatch.setattr(health_module, "MAX_BACKOFF", 0.001)
    return ServiceHealth("loader")


async def test_a_call_is_cancelled_when_the_service_stops(health: ServiceHealth) -> None:
    """It may clean up first. Until then its result, and its error, are those of the call."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    async def fail() -> None:
        raise Reject("wrong")

    await health.cancel_on_stop(asyncio.sleep(0))
    with pytest.raises(Reject, match="wrong"):
        await health.cancel_on_stop(fail())
    asyncio.get_running_loop().call_later(0.01, health.stopping.set)
    await health.cancel_on_stop(work())
    assert ended == ["cleaned up"]


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


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(health_module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def outlives(health: ServiceHealth, clock: Clock, work: Callable[[], Awaitable[object]]) -> bool:
    """Whether a process is alive if its supervised loop does `work` just before its last heartbeat is too old."""

    async def loop() -> bool:
        clock.now += LIVENESS_SECONDS - 1
        await work()
        clock.now += 1
        return health.alive

    return await health.supervise("consumer", loop())


@pytest.mark.failure("F233")
async def test_a_loop_without_progress_is_dead(clock: Clock) -> None:
    """LIVENESS_SECONDS after its last progress, and not before."""
    health = ServiceHealth("loader")

    async def stuck_loop() -> None:
        clock.now += LIVENESS_SECONDS - 0.001
        assert health.alive
        clock.now += 0.001
        assert not health.alive
        assert health.stuck() == "consumer"
        assert not health.stuck(margin=1.0)
        health.heartbeat()
        assert health.alive

    await health.supervise("consumer", stuck_loop())


@pytest.mark.failure("F233")
async def test_each_kind_of_progress_keeps_a_loop_alive(health: ServiceHealth, clock: Clock) -> None:
    """A heartbeat, also in a thread; another activity; a sleep; a retry; and the wait for a call that is bounded."""
    errors = [Retry("kafka", "down")]

    async def call() -> None:
        if errors:
            raise errors.pop()

    async def set_activity() -> None:
        health.set_activity("loading")

    async def bounded_call() -> None:
        await health.heartbeat_during(asyncio.to_thread(health.heartbeat))

    assert not await outlives(health, clock, partial(asyncio.sleep, 0))
    assert await outlives(health, clock, partial(asyncio.to_thread, health.heartbeat))
    assert await outlives(health, clock, set_activity)
    assert await outlives(health, clock, partial(health.sleep, 0.001))
    assert await outlives(health, clock, partial(health.retry_until_available, call))
    assert await outlives(health, clock, bounded_call)
    assert not await outlives(health, clock, partial(health.wait, 0.001))


@pytest.mark.failure("F233")
async def test_only_the_supervised_loop_proves_its_progress(health: ServiceHealth, clock: Clock) -> None:
    """Watches and other loops of the same process go on, and the stuck one is dead all the same."""
    checks, others = list[bool](), list[bool]()

    async def check() -> None:
        checks.append(True)

    async def other_loop() -> None:
        while await health.sleep(0.001):
            others.append(True)
            health.set_activity("busy")

    async def stuck_loop() -> None:
        assert health.supervised == {"consumer", "workflow"}
        clock.now += LIVENESS_SECONDS
        await asyncio.to_thread(wait_until, lambda: len(others) > 20, 10)
        assert health.stuck() == "consumer"
        health.stopping.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch_dependency("kafka", check, health))
        tasks.create_task(other_loop())
        tasks.create_task(health.supervise("workflow", other_loop()))
        await asyncio.sleep(0)
        await health.supervise("consumer", stuck_loop())
    assert checks


async def test_a_start_without_progress_is_dead(health: ServiceHealth, clock: Clock) -> None:
    """Until the first loop is supervised, the start is. A loop that ended is supervised no more."""
    assert health.supervised == {"start"}
    health.heartbeat()
    clock.now += LIVENESS_SECONDS
    assert health.stuck() == "start"
    health.heartbeat()
    assert health.alive
    await health.supervise("consumer", asyncio.sleep(0))
    assert (health.supervised, health.alive) == ({"start"}, True)


async def test_a_process_without_a_limit_is_always_alive(clock: Clock) -> None:
    """As while a debugger waits."""
    health = ServiceHealth("loader", liveness_seconds=0)
    clock.now += 1_000_000
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
    monkeypatch.setattr(health_module, "PAUSE_SECONDS", 0.001)
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


@pytest.mark.failure("F223")
async def test_a_dependency_that_does_not_answer_is_unavailable(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time-out of a check. No second check is started, and the first one's answer makes it available."""
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(health_module, "PAUSE_SECONDS", 0.01)
    health.mark_started()
    answer, checks = asyncio.Event(), list[bool]()

    async def check() -> None:
        checks.append(True)
        await answer.wait()

    watching = asyncio.ensure_future(watch_dependency("mysql", check, health))
    async with asyncio.timeout(10):
        while not health.unavailable:  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (health.unavailable, len(checks)) == ({"mysql": "mysql: no response within 0.01 s"}, 1)
        answer.set()
        while health.unavailable:  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.01)
        health.stopping.set()
        await watching


async def test_a_watch_ends_although_its_dependency_does_not_answer(health: ServiceHealth) -> None:
    """When the service stops. Then it reports nothing more."""
    health.mark_started()
    watching = asyncio.ensure_future(watch_dependency("mysql", asyncio.Event().wait, health))
    await asyncio.sleep(0)
    health.stopping.set()
    await asyncio.wait_for(watching, 2)
    assert health.unavailable == {}


@pytest.mark.failure("F223")
async def test_an_outage_of_a_dependency_that_is_not_required_is_a_warning(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service stays ready. The warning ends with the outage."""
    monkeypatch.setattr(health_module, "PAUSE_SECONDS", 0.001)
    health.mark_started()
    states = list[tuple[bool, dict[str, str]]]()

    async def check() -> None:
        states.append((health.ready, health.warnings))
        if len(states) == 1:
            raise Retry("mlflow", "down")
        if len(states) == 3:
            health.stopping.set()

    await watch_dependency("mlflow", check, health, required=False)
    assert states == [(True, {}), (True, {"mlflow": "mlflow: down"}), (True, {})]


@pytest.mark.failure("F223")
def test_an_outage_is_shown_within_ten_seconds() -> None:
    """The last check before it may just have begun its pause, and the next one waits for its time-out."""
    assert timeouts.PAUSE_SECONDS + timeouts.CHECK_SECONDS < 10


@pytest.mark.failure("F298")
async def test_the_activity_of_one_loop_is_shown() -> None:
    """Another loop does not overwrite it: a trainer trains while its consumer handles a record."""
    health = ServiceHealth("trainer")
    health.show_activity_of("trainings")

    async def report(activity: str) -> None:
        health.set_activity(activity)

    await health.supervise("trainings", report("training"))
    await health.supervise("consumer", report("waiting for events"))
    assert health.activity == "training"


@pytest.mark.failure("F235")
async def test_a_watch_goes_on_after_an_unforeseen_error(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/readyz shows the error until the next check succeeds."""
    monkeypatch.setattr(health_module, "PAUSE_SECONDS", 0.001)
    health.mark_started()
    unavailable: list[dict[str, str]] = []

    async def check() -> None:
        unavailable.append(health.unavailable)
        if len(unavailable) == 1:
            raise AttributeError("'NoneType' object has no attribute 'sendall'")
        if len(unavailable) == 3:
            health.stopping.set()

    await watch_dependency("mysql", check, health)
    error = "AttributeError: 'NoneType' object has no attribute 'sendall'"
    assert unavailable == [{}, {"mysql": error}, {}]


@pytest.mark.failure("F235")
async def test_a_side_loop_runs_again_after_an_unforeseen_error(
    health: ServiceHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/readyz shows the error until the loop has run for a while."""
    monkeypatch.setattr(health_module, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.01)
    health.mark_started()
    unavailable: list[dict[str, str]] = []

    async def loop() -> None:
        unavailable.append(health.unavailable)
        if len(unavailable) < 3:
            raise KeyError("epoch")
        await asyncio.sleep(0.05)
        unavailable.append(health.unavailable)

    await health.keep_running("commands", loop)
    failed = {"commands": "KeyError: 'epoch'"}
    assert unavailable == [{}, failed, failed, {}]


@pytest.mark.failure("F119")
async def test_what_a_side_loop_reports_itself_remains(health: ServiceHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that stands by is not ready, however long its loop has run."""
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.01)
    health.mark_started()

    async def loop() -> None:
        health.set_unavailable("lease", "another trainer holds it")
        await asyncio.sleep(0.05)

    await health.keep_running("lease", loop)
    assert health.unavailable == {"lease": "another trainer holds it"}


async def test_a_side_loop_ends_the_service_only_on_purpose(health: ServiceHealth) -> None:
    """A stop is raised, and a service that stops does not run a failed loop again."""

    async def stop() -> None:
        raise Stop("a wrong setting")

    async def fail() -> None:
        health.stopping.set()
        raise KeyError("epoch")

    with pytest.raises(Stop):
        await health.keep_running("commands", stop)
    await health.keep_running("commands", fail)
