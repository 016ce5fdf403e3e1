"""The aliases in the registry."""

from collections.abc import Callable

import pytest

from support.batches import TIME
from support.trainer import DATASET, TrainerHarness, request
from veleta.errors import Retry
from veleta.ports import T
from veleta.processing.outbox import OutboxPublisher
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain.training import PromotionRow
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import TrainerUnitOfWork
from veleta_trainer.training_recorder import TrainingRecorder

PROMOTED = PromotionRow(1, None, "promoted", "better", "trainer", "r", TIME, seq=1)


@pytest.mark.failure("F16")
async def test_an_alias_that_was_moved_by_hand_becomes_a_decision() -> None:
    """With a number, a tag and an event. `previous` follows. It is recorded once, and restored after a wipe."""
    harness = TrainerHarness(50.0, 101.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    harness.registry.set_alias("champion", 2)
    await harness.finish()
    last = harness.promotions[-1]
    assert (last.seq, last.version, last.previous, last.decision) == (3, 2, 1, "outside")
    champion, previous = (harness.registry.alias(name) for name in ("champion", "previous"))
    assert champion is not None
    assert champion.tags["seq"] == "3"
    assert previous is not None
    assert previous.number == 1
    assert harness.ids("models")[-1] == "real_estate/outside/3"
    await harness.finish()
    assert len(harness.promotions) == 3
    harness.wipe()
    await harness.finish()
    assert harness.promotions[-1] == last


@pytest.mark.failure("F17")
async def test_a_missing_alias_is_set_again() -> None:
    """Both aliases follow from the last decision."""
    harness = TrainerHarness(50.0, 40.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    for name in ("champion", "previous"):
        harness.registry.set_alias(name, 0)
    await harness.finish()
    assert [harness.registry.alias(name) for name in ("champion", "previous")] == [
        harness.registry.version(2),
        harness.registry.version(1),
    ]
    assert len(harness.promotions) == 2


class LeaseLosingTransactions(FencedTransactions):
    """Another trainer acquires the lease after the first transaction."""

    def __init__(self, harness: TrainerHarness) -> None:
        super().__init__(harness.transactions, 10.0)
        self._harness = harness

    async def run(self, transaction: Callable[[TrainerUnitOfWork], T]) -> T:
        result = await super().run(transaction)
        self._harness.give_lease_to_another()
        return result


async def aliases_that_lose_the_lease(harness: TrainerHarness) -> Aliases:
    """Aliases whose trainer acts once, and then loses the lease."""
    transactions = LeaseLosingTransactions(harness)
    await transactions.restore(_nothing)
    publisher = OutboxPublisher(harness.log, harness.transactions)
    recorder = TrainingRecorder(DATASET.name, transactions, publisher, lambda: TIME)
    return Aliases(harness.registry, transactions, recorder)


@pytest.mark.failure("F119")
async def test_no_alias_moves_without_the_lease() -> None:
    """Neither tag nor alias is set after another trainer acquired the lease."""
    harness = TrainerHarness()
    harness.registry.register("run", "model", {})
    aliases = await aliases_that_lose_the_lease(harness)
    harness.give_lease_to_another()
    with pytest.raises(Retry, match="another trainer"):
        await aliases.move(PROMOTED)
    version = harness.registry.version(1)
    assert version is not None
    assert version.tags == {}
    assert [harness.registry.alias(name) for name in ("champion", "previous", "challenger")] == [None] * 3


@pytest.mark.failure("F119")
async def test_no_alias_is_repaired_without_the_lease() -> None:
    """The lease is checked between reading the decision and setting the aliases."""
    harness = TrainerHarness()
    harness.registry.register("run", "model", {})
    await harness.transactions.run(lambda uow: uow.promotions.append(PROMOTED))
    aliases = await aliases_that_lose_the_lease(harness)
    with pytest.raises(Retry, match="another trainer"):
        await aliases.reconcile()
    version = harness.registry.version(1)
    assert version is not None
    assert version.tags == {}
    assert harness.registry.alias("champion") is None


async def _nothing(_transactions: object) -> None:
    """The tables lack nothing."""
