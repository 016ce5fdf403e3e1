"""Training requests that arrive."""

import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from support.trainer import DATASET, TrainerHarness, request
from support.twins.trainer import MemoryTrainerUnitOfWork
from veleta.errors import Reject
from veleta.events.catalogue import MAX_ID_LENGTH
from veleta.events.envelope import Event
from veleta_trainer.domain import events
from veleta_trainer.handlers import RequestHandler


async def test_a_request_waits_with_all_its_fields() -> None:
    """Delivered twice, it waits once."""
    harness, handler = TrainerHarness(), RequestHandler(lambda: TIME)
    arrived = request(1)
    payload = events.requested(arrived, DATASET.name)
    event = Event(arrived.request_id, "drift", TIME, payload, cause=arrived.cause, trace=arrived.trace)
    for _ in range(2):
        await harness.transactions.run(lambda uow: handler.apply(event, None, uow))
    assert await harness.transactions.run(lambda uow: uow.trainings.waiting()) == [arrived]


@pytest.mark.failure("F360")
async def test_a_request_whose_id_does_not_fit_is_rejected() -> None:
    """The id of an event may be longer than that of a training."""
    harness, handler = TrainerHarness(), RequestHandler(lambda: TIME)
    event = Event("x" * (MAX_ID_LENGTH + 1), "drift", TIME, events.requested(request(1), DATASET.name))
    with pytest.raises(Reject, match="the id is too long"):
        await harness.transactions.run(lambda uow: handler.apply(event, None, uow))


@pytest.mark.failure("F117")
async def test_after_a_failure_each_batch_causes_a_request_until_there_is_a_champion() -> None:
    """Not before a training failed, not while a request is waiting, and not once a version is promoted."""
    harness, handler = TrainerHarness(Reject("the recipe cannot be trained"), 50.0), RequestHandler(lambda: TIME)
    manifest = publish_batch(harness.log, DATASET, 1, 3, api_rows(0, 30, 3))
    closed = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)

    def handle(uow: MemoryTrainerUnitOfWork) -> None:
        handler.apply(closed, None, uow)
        uow.checkpoints.save("real_estate.batches", 0, uow.checkpoints.load("real_estate.batches", 0) + 1)

    async def due() -> list[str]:
        await harness.transactions.run(handle)
        pending = await harness.transactions.run(lambda uow: uow.outbox.oldest())
        await harness.transactions.run(lambda uow: uow.outbox.delete([number for number, _ in pending]))
        return [dict(message.headers)["ce_id"].decode() for _, message in pending]

    assert await due() == []
    await harness.add_request(request(0))
    assert await due() == []
    await harness.finish()
    assert await due() == ["real_estate/1/3/due"]
    await harness.add_request(request(1))
    assert await due() == []
    await harness.finish()
    assert await due() == []
