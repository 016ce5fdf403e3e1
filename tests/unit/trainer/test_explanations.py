"""Explanations of runs after their decisions."""

import asyncio
import time

import pytest

from support.testbed import wait_until
from support.trainer import DATASET, ENDLESS, Killed, TrainerHarness, request
from veleta.errors import Reject, Retry
from veleta.events.catalogue import Retrain
from veleta_trainer import explanations
from veleta_trainer.explanations import MAX_ATTEMPTS


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "DUE_SECONDS", 0.001)
    monkeypatch.setattr(explanations, "PAUSE_SECONDS", 0.001)


async def decided(trainings: int) -> TrainerHarness:
    """A harness after these trainings, whose runs are not explained yet."""
    harness = TrainerHarness(50.0, 40.0)
    for number in range(trainings):
        await harness.add_request(request(number))
        await harness.finish()
    return harness


async def until(harness: TrainerHarness, run_id: str, explanation: str) -> None:
    """Wait until a run has this explanation."""
    await asyncio.to_thread(wait_until, lambda: harness.runs.explanations[run_id] == explanation, 5)


async def stop(harness: TrainerHarness, running: "asyncio.Task[None]") -> None:
    harness.health.stopping.set()
    async with asyncio.timeout(1):
        await running


async def test_a_run_is_explained_after_its_decision() -> None:
    """Not before, although its model is logged: the decision waits for no picture."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    running = asyncio.create_task(harness.explanations.run())
    await trainer.take_over()
    await asyncio.sleep(0.05)  # the request of the start finds nothing
    while await trainer.advance():
        if not harness.ids("models")[1:]:
            await asyncio.sleep(0.01)
            assert harness.explainer.explained == []
    await until(harness, "run-1", "done")
    await stop(harness, running)
    assert harness.types("models") == ["model.registered", "model.promoted"]


@pytest.mark.failure("F436")
async def test_a_restarted_trainer_explains_what_a_kill_left() -> None:
    """During the second of two explanations: the first is not repeated."""
    harness = await decided(2)
    harness.explainer.failures = [0.0, Killed()]
    with pytest.raises(Killed):
        await harness.explanations.explain_all()
    assert harness.runs.explanations == {"run-1": "done", "run-2": "due"}
    trainer = harness.new_trainer()
    running = asyncio.create_task(harness.explanations.run())
    await trainer.take_over()
    await until(harness, "run-2", "done")
    await stop(harness, running)
    assert harness.explainer.explained == ["run-1", "run-2"]


@pytest.mark.failure("F437")
async def test_an_explanation_that_fails_harms_nothing() -> None:
    """It is repeated, then given up with the reason, and the next run is explained. A later one removes the warning."""
    harness = await decided(2)
    harness.explainer.failures = [Reject("the model cannot be explained", "killed")] * MAX_ATTEMPTS
    await harness.explanations.explain_all()
    reason = "the model cannot be explained: killed"
    assert harness.runs.explanations == {"run-1": reason, "run-2": "done"}
    assert [row["state"] for row in harness.rows.values()] == ["finished"] * 2
    harness.runs.explanations["run-2"] = "due"
    harness.explainer.failures = [RuntimeError("killed")] * MAX_ATTEMPTS
    await harness.explanations.explain_all()
    assert harness.health.warnings == {"explanation": "run run-2 has no explanation: killed"}
    harness.runs.explanations["run-2"] = "due"
    await harness.explanations.explain_all()
    assert harness.health.warnings == {}


@pytest.mark.failure("F437")
async def test_an_unreachable_registry_delays_an_explanation() -> None:
    """It counts as no attempt, and the service stays ready: prices are served without pictures."""
    harness = await decided(1)
    harness.explainer.failures = [Retry("mlflow", "unreachable")] * (MAX_ATTEMPTS + 1)
    harness.explanations.request()
    running = asyncio.create_task(harness.explanations.run())
    await until(harness, "run-1", "done")
    assert "mlflow" not in harness.health.unavailable
    await stop(harness, running)


@pytest.mark.failure("F441")
async def test_trainings_commands_and_a_stop_do_not_wait_for_an_explanation() -> None:
    """A training is completed and a command answered during one that does not end. A stop ends it."""
    harness = await decided(1)
    harness.explainer.failures = [ENDLESS]
    trainer = harness.new_trainer()
    running = asyncio.create_task(harness.explanations.run())
    await trainer.take_over()
    await asyncio.sleep(0.01)
    assert not harness.explainer.failures, "the explanation has begun"
    await harness.add_request(request(1))
    while await trainer.advance():
        pass
    assert harness.row(request(1))["state"] == "finished"
    command = harness.send(Retrain(dataset=DATASET.name, actor="ann", reason="new zips"))
    await harness.handle_commands()
    assert harness.replies(command)
    began = time.monotonic()
    await stop(harness, running)
    assert time.monotonic() - began < 1
    assert harness.runs.explanations["run-1"] == "due", "the next trainer explains it"
