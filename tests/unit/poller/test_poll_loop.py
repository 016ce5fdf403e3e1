"""When the poller fetches a batch."""

import asyncio
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.poller import END, Asking, Scene, batch, until
from veleta.errors import Retry
from veleta.events.catalogue import BatchClosed, BatchRefused, Pause, Poll, Resume
from veleta_poller.adapters import inbox as inbox_module
from veleta_poller.adapters.disks import Disks
from veleta_poller.domain.state import PollerState, PollMode
from veleta_poller.ports import Overloaded, ResponseInterrupted


@pytest.mark.failure("F24")
async def test_readiness_shows_that_the_api_is_unreachable(scene: Scene) -> None:
    """/readyz names the API, and the poller has not started."""
    await scene.run(Retry("api", "connection refused"))
    assert "connection refused" in scene.health.unavailable["api"] or "script" in scene.health.unavailable["api"]
    assert "start" in scene.health.unavailable


async def test_the_poller_is_ready_after_the_first_response(scene: Scene) -> None:
    """Then only the end of the script is missing."""
    await scene.run(ResponseInterrupted("timeout"), batch(0))
    assert set(scene.health.unavailable) == {"api"}
    assert "over" in scene.health.unavailable["api"]


@pytest.mark.failure("F172")
async def test_readiness_shows_why_the_first_response_was_refused(scene: Scene) -> None:
    """Before and without a second request: the reason is on /readyz until a batch comes."""
    async with scene.running((404, '{"detail": "Not Found"}'), interval=60):
        await until(lambda: "refused a response: GET /data answered 404" in scene.health.activity)
        assert scene.health.unavailable == {"api": "GET /data answered 404 Not Found: is API_URL right?"}


@pytest.mark.failure("F171")
async def test_the_poller_waits_as_long_as_the_api_asks(scene: Scene) -> None:
    """Longer than the interval of polling. A poll command is a person's decision, and does not wait."""
    async with scene.running(Asking(429, "{}", retry_after=20.0), batch(0), interval=0):
        await until(lambda: "the API asks to wait 20 s; next request in" in scene.health.activity)
        assert scene.closed() == []
        scene.send(Poll, "1")
        await until(lambda: scene.closed() == [(1, 0)])
        assert scene.health.unavailable == {} or "over" in scene.health.unavailable["api"]


@pytest.mark.failure("F27")
async def test_a_new_epoch_begins_at_the_end_of_the_data(scene: Scene) -> None:
    """The API returns the same rows again. They belong to the next epoch."""
    await scene.run(batch(0), END, batch(0), END, batch(0))
    assert scene.api.restarted == 2
    assert scene.closed() == [(1, 0), (2, 0), (3, 0)]
    assert [m.findings for m in scene.published(BatchClosed)] == [[], [], []]


@pytest.mark.failure("F82")
async def test_a_restart_is_repeated_until_it_is_confirmed(scene: Scene) -> None:
    """A restart skips no batch, so a second one is harmless."""
    scene.restarts += [Retry("api", "restart: HTTP 500"), None]
    await scene.run(batch(0), END, batch(0))
    assert scene.api.restarted == 2
    assert scene.closed() == [(1, 0), (2, 0)]


@pytest.mark.failure("F403")
async def test_a_restart_waits_as_long_as_the_api_asks(scene: Scene) -> None:
    """/readyz shows it."""
    scene.restarts += [Overloaded("answered 503; the API asks to wait 0 s", 0.3), None]
    started = time.monotonic()
    async with scene.running(batch(0), END, batch(0)):
        await until(lambda: "asks to wait 0 s" in scene.health.unavailable.get("api", ""))
        assert scene.api.restarted == 1
        await until(lambda: scene.closed() == [(1, 0), (2, 0)])
    assert (time.monotonic() - started, scene.api.restarted) > (0.3, 1)


@pytest.mark.failure("F06")
async def test_a_requested_restart_survives_a_crash(scene: Scene, tmp_path: Path) -> None:
    """After the crash, batch 0 confirms that the API restarted."""
    await scene.run(batch(0), END)
    after = scene.crashed(tmp_path / "after")
    assert after.inbox.load_state().restarting
    await after.run(batch(0))
    assert after.closed() == [(1, 0), (2, 0)]
    assert not after.inbox.load_state().restarting


@pytest.mark.failure("F85")
async def test_polling_stops_at_the_end_of_the_data(scene: Scene) -> None:
    """With AT_END=stop the poller stays ready and shows its position."""
    async with scene.running(batch(0), END, batch(0), at_end="stop"):
        await until(lambda: scene.health.activity == "at the end of the data")
        assert scene.health.unavailable == {}
    assert (scene.closed(), scene.api.restarted) == ([(1, 0)], 0)


@pytest.mark.failure("F172")
async def test_an_end_before_the_first_batch_makes_the_api_unavailable(scene: Scene) -> None:
    """With AT_END=stop no batch will come."""
    async with scene.running(END, at_end="stop"):
        expected = {"api": "GET /data answered the end of the data before the first batch"}
        await until(lambda: scene.health.unavailable == expected)


@pytest.mark.failure("F172")
@pytest.mark.parametrize(("ends", "reported"), [(1, 0), (2, 1), (3, 2)])
async def test_an_end_after_a_restart_makes_the_api_unavailable(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, ends: int, reported: int
) -> None:
    """Until a batch comes. The first end is no fault: an earlier client may have moved the cursor."""
    reasons: list[str] = []
    monkeypatch.setattr(scene.health, "set_unavailable", lambda _dependency, reason: reasons.append(reason))
    await scene.run(*[END] * ends, batch(0))
    assert reasons.count("GET /data answered the end of the data again, after a restart") == reported
    assert scene.closed() == [(1, 0)]


@pytest.mark.failure("F01")
async def test_no_request_is_sent_without_free_space_on_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that does not fit would be lost."""
    monkeypatch.setattr(inbox_module, "MIN_FREE_BYTES", 2**62)
    running = asyncio.create_task(scene.run(batch(0)))
    await until(lambda: "disk" in scene.health.unavailable)
    assert scene.published(BatchClosed) == []
    monkeypatch.setattr(inbox_module, "MIN_FREE_BYTES", 0)
    await running
    assert scene.closed() == [(1, 0)]


@pytest.mark.failure("F254")
async def test_no_request_is_sent_while_the_disk_of_another_part_is_full(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown, and polling goes on by itself."""

    def full(_disks: Disks, _required: int) -> None:
        raise Retry("disk", "kafka 3 MiB")

    monkeypatch.setattr(Disks, "require_free_space", full)
    running = asyncio.create_task(scene.run(batch(0)))
    await until(lambda: "kafka 3 MiB" in scene.health.unavailable.get("disk", ""))
    assert scene.published(BatchClosed) == []
    monkeypatch.setattr(Disks, "require_free_space", lambda _disks, _required: None)
    await running
    assert scene.closed() == [(1, 0)]


@pytest.mark.failure("F01")
async def test_three_responses_of_the_largest_size_must_fit(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte less, and no request is sent. The size of the largest published one outlives smaller ones and restarts.

    A larger response that was refused does not count: its space would be required for ever.
    """
    large = batch(1, city="x" * 10_000)
    await scene.run(batch(0), large, (200, "x" * 20_000), batch(2))
    required = 3 * len(large[1].encode())
    disk = SimpleNamespace(free=required - 1)
    monkeypatch.setattr(inbox_module, "MIN_FREE_BYTES", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: disk)
    after = scene.crashed(tmp_path / "after")
    running = asyncio.create_task(after.run(batch(3)))
    await until(lambda: "disk" in after.health.unavailable)
    assert after.closed() == [(1, 0), (1, 1), (1, 2)]
    disk.free = required
    await running
    assert after.closed() == [(1, 0), (1, 1), (1, 2), (1, 3)]


async def test_in_manual_mode_each_poll_command_fetches_one_batch(scene: Scene) -> None:
    """POLL=manual starts paused and ready."""
    async with scene.running(batch(0), batch(1), batch(2), poll="manual"):
        await until(lambda: not scene.health.unavailable)
        assert scene.closed() == []
        assert "paused" in scene.health.activity
        scene.send(Poll, "1")
        await until(lambda: scene.closed() == [(1, 0)])
        scene.send(Poll, "2")
        scene.send(Poll, "3")
        await until(lambda: scene.closed() == [(1, 0), (1, 1), (1, 2)])
    assert scene.replies() == [(name, "the next batch is fetched now, if there is one") for name in "123"]
    assert scene.inbox.load_state().poll_mode == PollMode("manual", paused=True)


@pytest.mark.failure("F86")
async def test_pause_and_resume_survive_a_restart(scene: Scene, tmp_path: Path) -> None:
    """Only a changed setting replaces the mode that the commands left."""
    running = asyncio.create_task(scene.run(poll="manual"))
    await until(lambda: not scene.health.unavailable)
    scene.send(Resume, "1")
    await running
    assert not scene.inbox.load_state().poll_mode.paused
    again = scene.crashed(tmp_path / "again")
    await again.run(batch(0), poll="manual")
    assert again.closed() == [(1, 0)]
    changed = again.crashed(tmp_path / "changed")
    changed.health.stopping.set()
    await changed.run(poll="auto")
    assert changed.inbox.load_state().poll_mode == PollMode("auto", paused=False)


async def test_a_paused_poller_fetches_nothing_until_resume(scene: Scene) -> None:
    """Also after a restart."""
    scene.inbox.save_state(PollerState(poll_mode=PollMode(paused=True)))
    running = asyncio.create_task(scene.run(batch(0)))
    await until(lambda: not scene.health.unavailable)
    await asyncio.sleep(0.05)
    assert scene.closed() == []
    scene.send(Resume, "1")
    await running
    assert scene.closed() == [(1, 0)]


async def test_a_poll_at_the_end_of_the_data_fetches_the_first_batch_of_the_next_epoch(scene: Scene) -> None:
    """One poll command fetches one batch, also if the API must be restarted for it."""
    async with scene.running(batch(0), END, batch(0), poll="manual"):
        await until(lambda: scene.pending is not None)
        for number, name in enumerate(("1", "2")):
            await until(lambda count=number: len(scene.closed()) == count)  # type: ignore[misc]  # bound at once
            scene.send(Poll, name)
        await until(lambda: scene.closed() == [(1, 0), (2, 0)])
    assert scene.api.restarted == 1


@pytest.mark.failure("F87")
async def test_a_pause_cancels_a_request_that_waits_for_the_api(scene: Scene) -> None:
    """No request is sent when the API is reachable again."""
    async with scene.running(*[Retry("api", "unreachable")] * 60, batch(0)):
        await until(lambda: "api" in scene.health.unavailable)
        scene.send(Pause, "1")
        await until(lambda: "paused" in scene.health.activity)
    assert scene.closed() == []


@pytest.mark.failure("F29")
async def test_a_poll_command_outlasts_an_outage_of_the_api_and_a_stop(scene: Scene) -> None:
    """Only a request that reached the API fulfils it."""
    async with scene.running(*[Retry("api", "unreachable")] * 60, poll="manual"):
        await until(lambda: not scene.health.unavailable)
        scene.send(Poll, "1")
        await until(lambda: "api" in scene.health.unavailable)
    assert scene.inbox.load_state().poll_mode.requested == 1


async def test_one_poll_command_is_one_request_after_a_restart(scene: Scene) -> None:
    """The request is repeated after the end of the data, but not after an invalid response."""
    async with scene.running(END, (500, "{}"), batch(0), poll="manual"):
        await until(lambda: not scene.health.unavailable)
        scene.send(Poll, "1")
        await until(lambda: len(scene.published(BatchRefused)) == 1)
        await asyncio.sleep(0.3)
        assert scene.closed() == []
