"""Tables that were wiped are restored from the topics."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from support.batches import publish_batch
from support.listings import api_rows
from support.trainer import DATASET, FAULT_POINTS, REFERENCE, Killed, TrainerHarness, request
from veleta.batches import read_events
from veleta.events.catalogue import TrainingStarted
from veleta.events.envelope import encode
from veleta_trainer.domain.evaluation import Figure
from veleta_trainer.domain.training import TrainingRow
from veleta_trainer.state_restorer import own_topics

COLUMNS = ("state", "recipe", "run_id", "version", "metrics", "profile")


async def test_wiped_tables_are_restored_without_another_training() -> None:
    """Requests, measures, profiles and numbered decisions are as before. The next decision gets the next number."""
    harness = TrainerHarness(50.0, 40.0, 101.0, 30.0)
    harness.registry.references["run-1"] = REFERENCE
    harness.runs.measured["run-1"] = [Figure("challenger", "all rows", "mae", 50.0, 9)]
    for number in range(3):
        await harness.add_request(request(number))
        await harness.finish()
    await harness.add_request(request(0, 2, first=True))
    await harness.finish()
    rows, promotions, evaluations = harness.rows, harness.promotions, harness.evaluations
    assert [each.rows for each in evaluations[1]] == [9]
    assert [row.get("profile") is not None for row in rows.values()] == [True, False, False, False]
    harness.wipe()
    await harness.finish()
    assert {name: _columns(row) for name, row in harness.rows.items()} == {
        name: _columns(row) for name, row in rows.items()
    }
    assert harness.promotions == promotions
    assert harness.evaluations == evaluations
    assert len(harness.fitter.champions) == 3
    await harness.add_request(request(1, 2))
    publish_batch(harness.log, DATASET, 2, 1, api_rows(0, 30, 9))
    await harness.finish()
    assert harness.promotions[-1].seq == 4


def _columns(row: TrainingRow) -> dict[str, object]:
    return {name: row.get(name) for name in COLUMNS}


@pytest.mark.failure("F100")
@pytest.mark.parametrize("place", FAULT_POINTS)
async def test_tables_wiped_during_a_training_are_restored(place: str, kill_at: Callable[[str], list[str]]) -> None:
    """A logged run is found again: one run, one version, one decision."""
    harness = TrainerHarness(*[50.0] * 2)
    await harness.add_request(request(0))
    kill_at(place)
    with pytest.raises(Killed):
        await harness.finish()
    harness.wipe()
    await harness.finish()
    assert harness.row(request(0))["state"] == "finished"
    assert len(harness.runs.logged) == 1
    assert harness.registry.version(2) is None
    assert [row.seq for row in harness.promotions] == [1]
    assert harness.ids("models") == [f"{request(0).request_id}/{name}" for name in ("registered", "promoted")]


@pytest.mark.failure("F244")
async def test_a_start_reads_nothing_if_nothing_was_lost() -> None:
    """However many trainings there were. The consumer has its own checkpoint in `retrain`."""
    harness = TrainerHarness(*[50.0] * 3)
    for number in range(3):
        await harness.add_request(request(number))
        await harness.finish()
    end = harness.log.bounds("real_estate.retrain")[0][1]
    await harness.transactions.run(lambda uow: uow.checkpoints.save("real_estate.retrain", 0, end))
    harness.log.read_records.clear()
    await harness.new_trainer().take_over()
    assert not harness.log.read_records.total()


@pytest.mark.failure("F107")
async def test_a_restored_training_has_the_recipe_of_its_version() -> None:
    """Without the batches that could not be read."""
    harness = TrainerHarness(50.0)
    publish_batch(harness.log, DATASET, 1, 3, api_rows(0, 30, 3), digest="wrong")
    await harness.add_request(request(3))
    await harness.finish()
    recipe = harness.row(request(3))["recipe"]
    harness.wipe()
    await harness.finish()
    assert harness.row(request(3))["recipe"] == recipe
    assert list(recipe["unreadable"]) == ["real_estate/1/3"]


@pytest.mark.failure("F359")
async def test_restoring_sets_aside_what_does_not_fit() -> None:
    """Two decisions on one request, a far sequence number, and a recipe that is none: each is one line in the log."""
    harness = TrainerHarness(50.0, 40.0)
    await harness.add_request(request(0))
    await harness.finish()
    *_, promoted = read_events(harness.log, DATASET.name, "models")
    started = TrainingStarted(request_id=request(1).request_id, recipe={})
    forged = [promoted.payload.model_copy(update={"seq": seq}) for seq in (2, 1_000_000_000)]
    training, models = own_topics(DATASET.name)
    for name, payload in ((training, started), (models, forged[0]), (models, forged[1])):
        harness.log.publish([encode(name, replace(promoted, source="forger", payload=payload))])
    before = harness.promotions
    await harness.add_request(request(1))
    harness.wipe()
    with capture_logs() as logs:
        await harness.finish()
    recipe, twice, far = [line["reason"] for line in logs if line["event"] == "event set aside"]
    assert "validation errors for Recipe" in recipe
    assert "duplicate key" in twice
    assert far == "the sequence number 1000000000 does not follow 1"
    assert harness.promotions[:1] == before
    assert harness.row(request(1))["state"] == "finished"
