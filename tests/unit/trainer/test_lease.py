"""The lease: one trainer acts at a time."""

import asyncio
import copy
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from support.trainer import TrainerHarness, request
from support.twins.trainer import MemoryLease
from veleta.errors import Retry
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, LeaseRow, LoggedRun


@pytest.mark.failure("F120")
async def test_a_trainer_without_the_lease_stands_by() -> None:
    """It starts nothing, and the error names the reason."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    harness.give_lease_to_another()
    for call in (trainer.advance, trainer.take_over):
        with pytest.raises(Retry, match="another trainer"):
            await call()
    assert harness.row(request(0))["state"] == "waiting"


class Frozen:
    """A trainer that freezes in a step after a call to MLflow, and resumes when the test says so."""

    def __init__(self, harness: TrainerHarness, patch: pytest.MonkeyPatch) -> None:
        self._log, self._frozen, self._resumed = harness.runs.log, threading.Event(), threading.Event()
        self._trainer = harness.new_trainer()
        patch.setattr(harness.runs, "log", self._log_and_freeze)

    async def freeze(self) -> "asyncio.Task[bool]":
        """Plan, and freeze in the next step, which is returned."""
        assert await self._trainer.advance()
        step = asyncio.create_task(self._trainer.advance())
        assert await asyncio.to_thread(self._frozen.wait, 10)
        return step

    def resume(self) -> None:
        self._resumed.set()

    def _log_and_freeze(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        run = self._log(planned, fitted)
        self._frozen.set()
        assert self._resumed.wait(10)
        return run


@pytest.mark.failure("F119", "F297")
@pytest.mark.parametrize("other", ["holds the lease", "released it", "lost it"])
async def test_a_zombie_trainer_commits_nothing(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It freezes in a step while another trainer finishes the training. Its own transaction fails afterwards.

    Also if the lease is free again: what the step read is stale.
    """
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    zombie = Frozen(harness, monkeypatch)
    step = await zombie.freeze()
    await harness.finish()
    lease = harness.transactions.committed.lease
    assert lease.row is not None
    if other == "released it":
        lease.row = replace(lease.row, expires_at=lease.clock)
    elif other == "lost it":
        lease.clock += timedelta(hours=1)
    before, topics = copy.deepcopy(harness.transactions.committed), copy.deepcopy(harness.log.topics)
    zombie.resume()
    with pytest.raises(Retry, match="another trainer"):
        await step
    after = harness.transactions.committed
    assert after.trainings.rows == before.trainings.rows
    assert after.promotions.rows == before.promotions.rows
    assert after.outbox.oldest() == []
    assert after.lease.row == before.lease.row
    assert harness.log.topics == topics
    assert harness.row(request(0))["state"] == "finished"


@pytest.mark.failure("F297")
async def test_nothing_is_registered_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer freezes between reading the run and registering its version."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    for _ in range(2):
        assert await trainer.advance()
    get = harness.runs.get

    def get_and_lose_lease(run_id: str) -> LoggedRun:
        harness.give_lease_to_another()
        return get(run_id)

    monkeypatch.setattr(harness.runs, "get", get_and_lose_lease)
    with pytest.raises(Retry, match="another trainer"):
        await trainer.advance()
    assert harness.registry.version(1) is None


@pytest.mark.failure("F330")
@pytest.mark.parametrize("hours", [2, -2])
async def test_the_lease_survives_a_jump_of_the_clock(hours: int) -> None:
    """The holder renews it for its usual duration, and does not take the row for one of a restored database."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    await trainer.take_over()
    harness.transactions.committed.lease.clock += timedelta(hours=hours)
    while await trainer.advance():
        pass
    lease = harness.transactions.committed.lease
    assert harness.row(request(0))["state"] == "finished"
    assert lease.row is not None
    assert timedelta() < lease.row.expires_at - lease.clock <= timedelta(seconds=10)


@pytest.mark.failure("F330")
async def test_a_dead_trainer_does_not_hold_the_lease_after_the_clock_went_back() -> None:
    """Its lease expires later than a lease can last, so it was acquired before the jump."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    await harness.new_trainer().take_over()
    successor = harness.new_trainer()
    harness.transactions.committed.lease.clock -= timedelta(hours=3)
    await successor.take_over()
    while await successor.advance():
        pass
    assert harness.row(request(0))["state"] == "finished"


@pytest.mark.failure("F120", "F330")
async def test_a_trainer_that_waited_for_the_lock_sees_the_lease_of_the_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another trainer acquired the lease meanwhile. Compared with the time before the wait, it would look too long."""
    harness = TrainerHarness(50.0)
    await harness.new_trainer().take_over()
    waiting = harness.new_trainer()
    load = MemoryLease.load

    def wait_and_load(lease: MemoryLease) -> LeaseRow | None:
        lease.clock += timedelta(seconds=20)
        lease.row = LeaseRow("another", 7, lease.clock + timedelta(seconds=10))
        return load(lease)

    monkeypatch.setattr(MemoryLease, "load", wait_and_load)
    with pytest.raises(Retry, match="another trainer"):
        await waiting.take_over()
