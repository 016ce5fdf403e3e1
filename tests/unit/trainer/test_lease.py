"""The lease: one trainer acts at a time."""

import asyncio
import copy
import threading

import pytest

from support.trainer import TrainerHarness, request
from veleta.errors import Retry
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, LoggedRun


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


@pytest.mark.failure("F119")
async def test_a_zombie_trainer_commits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It freezes in a step while another trainer finishes the training. Its own transaction fails afterwards."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    zombie = harness.new_trainer()
    assert await zombie.advance()
    log, frozen, resumed = harness.runs.log, threading.Event(), threading.Event()

    def log_and_freeze(planned: Recipe, fitted: FittedModel) -> LoggedRun:
        run = log(planned, fitted)
        frozen.set()
        assert resumed.wait(10)
        return run

    monkeypatch.setattr(harness.runs, "log", log_and_freeze)
    step = asyncio.create_task(zombie.advance())
    assert await asyncio.to_thread(frozen.wait, 10)
    await harness.finish()
    before, topics = copy.deepcopy(harness.transactions.committed), copy.deepcopy(harness.log.topics)
    resumed.set()
    with pytest.raises(Retry, match="another trainer"):
        await step
    after = harness.transactions.committed
    assert after.trainings.rows == before.trainings.rows
    assert after.promotions.rows == before.promotions.rows
    assert after.outbox.oldest() == []
    assert after.lease.row == before.lease.row
    assert harness.log.topics == topics
    assert harness.row(request(0))["state"] == "finished"
