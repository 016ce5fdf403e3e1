"""What a process says of itself, and how it waits."""

import asyncio

import pytest

from veleta import life as life_module
from veleta.errors import Reject, Retry
from veleta.life import Life, watch


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    """A life with pauses of a millisecond."""
    monkeypatch.setattr(life_module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(life_module, "LONGEST_PAUSE", 0.001)
    return Life("loader")


def test_a_process_is_not_ready_before_it_started(life: Life) -> None:
    """Nobody should be sent to it too early."""
    assert life.waits_for == {"start": "not yet started"}
    life.started()
    assert life.waits_for == {}


def test_what_is_missing_is_named_with_its_reason(life: Life) -> None:
    """Each thing once, with the last reason; found again, it is forgotten."""
    life.started()
    life.lacks("kafka", "no broker")
    life.lacks("kafka", "still no broker")
    life.lacks("mysql", "no database")
    assert life.waits_for == {"kafka": "still no broker", "mysql": "no database"}
    life.found("kafka")
    life.found("kafka")
    assert life.waits_for == {"mysql": "no database"}


def test_a_halt_stays(life: Life) -> None:
    """Only a new start mends it; the process lives on to say why."""
    life.started()
    life.halt("three dead letters")
    life.found("loader")
    assert life.waits_for == {"loader": "three dead letters"}
    assert life.alive


def test_a_loop_without_progress_is_dead(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """After QUIET_SECONDS; every beat begins them anew."""
    assert life.alive
    monkeypatch.setattr(life_module, "QUIET_SECONDS", 0.0)
    assert not life.alive
    monkeypatch.undo()
    life.busy("loading")
    assert life.alive
    assert life.doing == "loading"


async def test_patience_waits_until_nothing_is_away(life: Life) -> None:
    """While it waits, it says for what; afterwards, nothing is missing."""
    life.started()
    answers = iter([Retry("kafka", "away"), Retry("mysql", "away"), Retry("kafka", "away")])
    seen = []

    async def call() -> str:
        seen.append(dict(life.waits_for))
        if (error := next(answers, None)) is not None:
            raise error
        return "done"

    assert await life.patiently(call) == "done"
    both = {"kafka": "kafka: away", "mysql": "mysql: away"}
    assert seen == [{}, {"kafka": "kafka: away"}, both, both]
    assert life.waits_for == {}


async def test_patience_is_for_what_is_away_only(life: Life) -> None:
    """Every other error passes at once."""

    async def call() -> None:
        raise Reject("never")

    with pytest.raises(Reject):
        await life.patiently(call)


async def test_patience_ends_with_the_service(life: Life) -> None:
    """A service that is told to stop does not wait for a broker."""

    async def call() -> None:
        life.stopping.set()
        raise Retry("kafka", "away")

    with pytest.raises(asyncio.CancelledError):
        await life.patiently(call)


def test_pauses_grow_up_to_the_longest() -> None:
    """So that a short outage is over soon and a long one is not hammered at."""
    pauses = life_module._pauses()
    assert [next(pauses) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


async def test_a_pause_ends_early_when_the_service_stops(life: Life) -> None:
    """True when the time is up, False when the service stops."""
    assert await life.pause(0.001)
    life.stopping.set()
    assert not await life.pause(3600.0)


async def test_a_watch_says_when_a_part_gives_no_sign_of_life(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when it does again; it ends with the service."""
    monkeypatch.setattr(life_module, "CHECK_SECONDS", 0.001)
    life.started()
    seen: list[dict[str, str]] = []

    async def check() -> None:
        seen.append(life.waits_for)
        if len(seen) == 1:
            raise Retry("kafka", "away")
        if len(seen) == 3:
            life.stopping.set()

    await watch("kafka", check, life)
    assert seen == [{}, {"kafka": "kafka: away"}, {}]
