"""The plan of the next training: its requests and its recipe."""

import pytest

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.history import Where, histories, next_batch, publish_old_batches
from support.listings import api_rows
from support.trainer import DATASET, TrainerHarness, request
from veleta.errors import Reject, Retry
from veleta.events.catalogue import ModelRegistered
from veleta.events.envelope import decode
from veleta.topics import topic


@pytest.mark.failure("F15")
async def test_waiting_requests_end_once_each() -> None:
    """They are merged into the newest: one training, one version."""
    harness = TrainerHarness(50.0)
    for number in range(3):
        await harness.add_request(request(number))
    await harness.finish()
    assert [row["state"] for row in harness.rows.values()] == ["merged", "merged", "finished"]
    assert sorted(harness.types("training")) == ["training.finished", *2 * ["training.merged"], "training.started"]
    assert harness.registry.version(2) is None


async def test_the_request_of_a_first_batch_is_skipped_if_there_is_a_champion() -> None:
    """No version is trained for it."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    await harness.finish()
    await harness.add_request(request(0, 2, first=True))
    await harness.finish()
    assert harness.types("training")[-1] == "training.skipped"


@pytest.mark.failure("F43")
async def test_requests_that_cannot_be_planned_stay_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any error of the registry: no attempt is counted, and the error names the reason."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    with monkeypatch.context() as patch:
        patch.setattr(harness.registry, "alias", _denied)
        with pytest.raises(Retry, match="planning: denied"):
            await harness.new_trainer().advance()
    assert harness.row(request(0))["state"] == "waiting"
    await harness.finish()
    assert harness.types("models")[-1] == "model.promoted"


@pytest.mark.failure("F107")
async def test_a_batch_that_does_not_match_its_manifest_is_not_trained_on() -> None:
    """The recipe contains the readable batches of the epoch, up to that of the request, and names the others."""
    harness = TrainerHarness(50.0)
    publish_batch(harness.log, DATASET, 1, 3, api_rows(0, 30, 3), digest="wrong")
    publish_batch(harness.log, DATASET, 2, 0, api_rows(0, 30, 3))
    await harness.add_request(request(3))
    await harness.finish()
    recipe = harness.row(request(3))["recipe"]
    assert [(b["epoch"], b["number"]) for b in recipe["batches"]] == [(1, 0), (1, 1), (1, 2)]
    assert recipe["unreadable"] == {"real_estate/1/3": "the manifest does not match: the rows have another digest"}
    registered = decode(next(iter(harness.log.read(topic(DATASET.name, "models"), 0, 0, 0)))).payload
    assert isinstance(registered, ModelRegistered)
    assert registered.recipe == recipe


@pytest.mark.failure("F105")
@pytest.mark.failure("F252")
@pytest.mark.failure("F464")
async def test_a_training_learns_from_the_newest_batch_of_each_number() -> None:
    """At the beginning of an epoch the others are the last epoch's, however old the champion is."""
    harness = TrainerHarness(50.0, 40.0)
    for epoch in range(1, 4):
        for number in range(2):
            publish_batch(harness.log, DATASET, epoch, number, api_rows(number, 30, number))
    await harness.add_request(request(1))
    await harness.finish()
    await harness.add_request(request(0, epoch=3))
    await harness.finish()
    recipe = harness.row(request(0, epoch=3))["recipe"]
    assert [(b["epoch"], b["number"]) for b in recipe["batches"]] == [(2, 1), (3, 0)]
    assert recipe["more_holdout"] == []


@pytest.mark.failure("F464")
async def test_the_holdout_has_the_champions_batches_that_no_newer_one_replaces() -> None:
    """An epoch was shorter: nothing newer shows the champion's other rows."""
    harness = TrainerHarness(50.0, 40.0)
    for epoch, numbers in ((1, 4), (2, 2), (3, 1)):
        for number in range(numbers):
            publish_batch(harness.log, DATASET, epoch, number, api_rows(number, 30, 10 * epoch + number))
    await harness.add_request(request(3))
    await harness.finish()
    await harness.add_request(request(0, epoch=3))
    await harness.finish()
    recipe = harness.row(request(0, epoch=3))["recipe"]
    assert [(b["epoch"], b["number"]) for b in recipe["batches"]] == [(2, 1), (3, 0)]
    assert [(b["epoch"], b["number"]) for b in recipe["more_holdout"]] == [(1, 2), (1, 3)]


async def test_a_request_without_a_readable_batch_fails() -> None:
    """It does not block later requests. The reason names the batch and its fault."""
    harness = TrainerHarness()
    publish_batch(harness.log, DATASET, 8, 0, api_rows(0, 30, 3), digest="wrong")
    await harness.add_request(request(0, epoch=8))
    await harness.finish()
    await harness.add_request(request(0, epoch=9))
    await harness.finish()
    assert harness.types("training") == ["training.started", "training.failed", "training.failed"]
    assert harness.types("deadletter") == ["record.deadlettered"] * 2
    assert [row["failure"] for row in harness.rows.values()] == [
        "no batch can be read: real_estate/8/0: the manifest does not match: the rows have another digest",
        "no batch of epoch 9 up to 0 is closed",
    ]


@pytest.mark.failure("F358")
async def test_a_request_for_a_batch_that_does_not_exist_fails_alone() -> None:
    """The requests that wait beside it are trained: a forged epoch would be the newest."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0, epoch=1_000_000))
    await harness.add_request(request(1))
    await harness.finish()
    assert [row["state"] for row in harness.rows.values()] == ["failed", "finished"]


@pytest.mark.failure("F269")
async def test_a_champion_of_other_features_is_replaced_at_once() -> None:
    """Inference does not serve it, so the trainer requests a training itself: once, for the newest batch.

    It cannot be compared. The new version is promoted, and the reasons name the change.
    """
    harness = TrainerHarness(50.0, 900.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.dataset = CHANGES["prefix"].dataset()
    harness.fitter.not_compared = f"the model learnt from other features: {CHANGES['prefix'].model_refuses}"
    await harness.finish()  # it finds nothing to do, and requests the training
    for _ in range(2):
        await harness.finish()
    assert harness.ids("retrain") == ["real_estate/1/0/retrain", "real_estate/1/2/features/1"]
    requested = harness.rows["real_estate/1/2/features/1"]
    assert requested["cause"]["reason"] == "version 1 learnt from other features: zip_code had prefix = 3, now 2"
    last = harness.promotions[-1]
    assert (last.version, last.decision) == (2, "promoted")
    assert last.reason == f"version 1 cannot be evaluated: {harness.fitter.not_compared}"


@pytest.mark.failure("F269")
async def test_a_failed_training_for_other_features_is_requested_again_with_the_next_batch() -> None:
    """Old rows have no value in a new column, for example: they are not clean, and the next batch may be enough."""
    harness = TrainerHarness(50.0, Reject("too few rows"), 900.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.dataset = CHANGES["prefix"].dataset()
    for _ in range(3):
        await harness.finish()
    assert len(harness.promotions) == 1
    publish_batch(harness.log, DATASET, 1, 3, api_rows(0, 30, 3))
    for _ in range(2):
        await harness.finish()
    assert harness.promotions[-1].cause == "real_estate/1/3/features/1"


@pytest.mark.parametrize("kind", [kind for kind, change in CHANGES.items() if not change.model_refuses])
async def test_other_changes_of_the_dataset_file_request_no_training(kind: str) -> None:
    """The champion can be asked as before."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.dataset = CHANGES[kind].dataset()
    await harness.finish()
    assert harness.ids("retrain") == ["real_estate/1/0/retrain"]


def _denied(_alias: str) -> None:
    raise RuntimeError("denied")


@histories
@pytest.mark.failure("F244")
async def test_planning_costs_the_same_after_any_history(old: int, where: Where) -> None:
    """The table of manifests is filled once. Then planning reads only new records of `batches`, and no row."""
    harness = TrainerHarness(50.0, 40.0)
    publish_old_batches(harness.log, DATASET, old, where)
    epoch, number = next_batch(old, where)
    publish_batch(harness.log, DATASET, epoch, number, api_rows(0, 30, 1))
    await harness.add_request(request(number, epoch))
    await harness.finish()
    publish_batch(harness.log, DATASET, epoch, number + 1, api_rows(0, 30, 2))
    await harness.add_request(request(number + 1, epoch))
    trainer = harness.new_trainer()
    await trainer.take_over()
    harness.log.read_records.clear()
    await trainer.advance()
    assert harness.row(request(number + 1, epoch))["state"] == "planned"
    assert harness.log.read_records == {"real_estate.batches": 2}
