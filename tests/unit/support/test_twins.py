"""The twins of the database and of the topics notice an event that does not belong to the transaction of its effect."""

import pytest

from support.batches import TIME
from support.twins.shared import MemoryUnitOfWork, OutboxLog, StrictTransactions
from veleta.events.catalogue import TrainingSkipped
from veleta.events.envelope import Event, Message, encode


def event(source: str = "trainer") -> Message:
    return encode("d.training", Event("1", source, TIME, TrainingSkipped(request_id="r", reason="x")))


async def test_an_event_is_stored_with_its_effect() -> None:
    """Alone it is refused, before and after the transaction of its effect."""
    transactions = StrictTransactions(MemoryUnitOfWork())

    def both(uow: MemoryUnitOfWork) -> None:
        uow.checkpoints.save("d.retrain", 0, 1)
        uow.outbox.append(event())

    await transactions.run(both)
    with pytest.raises(AssertionError, match=r"training\.skipped.* stored without an effect"):
        await transactions.run(lambda uow: uow.outbox.append(event("another")))


async def test_a_transaction_that_raises_stores_nothing() -> None:
    """Neither the effect nor the event."""
    transactions = StrictTransactions(MemoryUnitOfWork())

    def half(uow: MemoryUnitOfWork) -> None:
        uow.checkpoints.save("d.retrain", 0, 1)
        uow.outbox.append(event())
        raise ValueError("the last statement fails")

    with pytest.raises(ValueError, match="last"):
        await transactions.run(half)
    assert transactions.committed.outbox.oldest() == []
    assert transactions.committed.checkpoints.load_all() == {}


def test_an_event_is_sent_from_the_outbox() -> None:
    """An event of the service itself. Those of others come from anywhere."""
    committed = MemoryUnitOfWork()
    log = OutboxLog("trainer", lambda: committed.outbox)
    log.publish([event("drift")])
    with pytest.raises(AssertionError, match=r"training\.skipped was sent past the outbox"):
        log.publish([event()])
    committed.outbox.append(event())
    log.publish([event()])
