"""The aliases in the registry."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from support.batches import TIME
from support.trainer import DATASET, REFERENCE, TrainerHarness, request
from veleta.batches import read_events
from veleta.dataset import parse_dataset
from veleta.errors import Retry
from veleta.events.catalogue import ModelPromoted
from veleta.ports import T, Version
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
    harness.registry.references["run-2"] = REFERENCE
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
    *_, event = read_events(harness.log, DATASET.name, "models")
    assert event.id == "real_estate/outside/3"
    assert isinstance(event.payload, ModelPromoted)
    assert event.payload.profile == REFERENCE.profile()
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
    """Another trainer acquires the lease after some transactions."""

    def __init__(self, harness: TrainerHarness, transactions: int) -> None:
        super().__init__(harness.transactions, 10.0)
        self._harness = harness
        self._left = transactions

    async def run(self, transaction: Callable[[TrainerUnitOfWork], T]) -> T:
        if self._left == 0:
            self._harness.give_lease_to_another()
        self._left -= 1
        return await super().run(transaction)


async def aliases_that_lose_the_lease(harness: TrainerHarness, transactions: int) -> Aliases:
    """Aliases whose trainer loses the lease after some transactions."""
    fenced = LeaseLosingTransactions(harness, transactions)
    await fenced.restore(_nothing)
    await fenced.begin_step()
    publisher = OutboxPublisher(harness.log, harness.transactions)
    recorder = TrainingRecorder(DATASET.name, fenced, publisher, lambda: TIME)
    return Aliases("champion_challenger", harness.registry, fenced, recorder)


@pytest.mark.failure("F119", "F297")
@pytest.mark.parametrize("writes", range(5))
async def test_no_alias_moves_without_the_lease(writes: int) -> None:
    """It is checked before each tag, each alias and the record: whenever it is lost, nothing after it is written.

    The record is the last: without it the next trainer moves the aliases again.
    """
    harness = TrainerHarness()
    for run in ("run", "other"):
        harness.registry.register(run, "model", {})
    aliases = await aliases_that_lose_the_lease(harness, writes)
    with pytest.raises(Retry, match="another trainer"):
        await aliases.move(replace(PROMOTED, previous=2))
    version, previous = harness.registry.version(1), harness.registry.alias("previous")
    assert version is not None
    assert len(version.tags) == min(writes, 2)
    assert (previous is not None) == (writes >= 3)
    assert (harness.registry.alias("champion") is not None) == (writes == 4)
    assert harness.registry.recorded_champion() is None


@pytest.mark.failure("F119", "F297")
@pytest.mark.parametrize("transactions", range(5))
async def test_no_alias_is_repaired_without_the_lease(transactions: int) -> None:
    """The lease is checked between reading the decision and each write. The third one reads the training."""
    harness = TrainerHarness()
    harness.registry.register("run", "model", {})
    await harness.transactions.run(lambda uow: uow.promotions.append(PROMOTED))
    aliases = await aliases_that_lose_the_lease(harness, 1 + transactions)
    with pytest.raises(Retry, match="another trainer"):
        await aliases.reconcile()
    version = harness.registry.version(1)
    assert version is not None
    assert len(version.tags) == min(transactions, 2)
    assert (harness.registry.recorded_champion() is not None) == (transactions == 4)
    assert harness.registry.alias("champion") is None


@pytest.mark.failure("F16")
async def test_an_alias_moved_by_hand_is_tagged_before_its_event() -> None:
    """Inference follows an event only if the registry knows its decision. A repeated step has the same number."""
    harness = TrainerHarness()
    harness.registry.register("run", "model", {})
    harness.registry.set_alias("champion", 1)
    aliases = await aliases_that_lose_the_lease(harness, 4)
    with pytest.raises(Retry, match="another trainer"):
        await aliases.reconcile()
    version = harness.registry.version(1)
    assert version is not None
    assert (version.seq, version.tags["decision"].partition(":")[0]) == (1, "outside")
    assert not harness.promotions
    await harness.finish()
    assert [(row.seq, row.version, row.decision) for row in harness.promotions] == [(1, 1, "outside")]


async def test_a_version_is_described_after_each_decision_on_it() -> None:
    """What it replaced, or why it was rejected. A version that a person registered keeps that person's description."""
    harness = TrainerHarness(50.0, 101.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    own = harness.registry.register("own run", "model", {})
    harness.registry.describe(own, "mine")
    for moved in (2, own.number):
        harness.registry.set_alias("champion", moved)
        await harness.finish()
    described = [harness.registry.descriptions[number].partition(" Decision ")[2] for number in (1, 2)]
    assert [decision.partition(":")[0] for decision in described] == ["1", "3"]
    assert described[1].endswith(" It replaced version 1.")
    assert harness.registry.descriptions[own.number] == "mine"


@pytest.mark.failure("F145")
async def test_a_deleted_champion_is_recorded_once() -> None:
    """It stays the champion of the decisions, because inference still serves it."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.registry.delete(1)
    for _ in range(2):
        await harness.finish()
    assert [(row.seq, row.version, row.decision, row.reason) for row in harness.promotions[1:]] == [
        (2, 1, "deleted", "version 1 was deleted in the registry")
    ]
    champion = harness.transactions.committed.promotions.champion()
    assert champion is not None
    assert champion.seq == 1


@pytest.mark.failure("F395")
async def test_the_last_champion_is_recorded_in_the_registry() -> None:
    """After a promotion and after a move by hand, with its number. Earlier releases left other tags and no record."""
    harness = TrainerHarness(50.0, 101.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    assert harness.registry.recorded_champion() == harness.registry.version(1)
    harness.registry.set_alias("champion", 2)
    await harness.finish()
    moved = harness.registry.recorded_champion()
    assert moved == harness.registry.version(2)
    assert moved is not None
    assert (moved.seq, moved.tags["decision"].partition(":")[0]) == (3, "outside")
    harness.registry.record_champion(Version(9, "run"))
    harness.registry.set_tag(2, "decision", "rejected: not better")
    await harness.finish()
    assert harness.registry.recorded_champion() == moved


async def _nothing(_transactions: object) -> None:
    """The tables lack nothing."""


@pytest.mark.parametrize("policy", ["seed", "champion_challenger"])
async def test_the_policy_seed_also_moves_the_stage(policy: str) -> None:
    """The original course project knows no aliases. The stage follows an alias that a person moved too."""
    harness = TrainerHarness(50.0, 40.0)
    harness.dataset = parse_dataset(DATASET.text.replace('policy = "champion_challenger"', f'policy = "{policy}"'))
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    assert harness.registry.stages == ({1: "Archived", 2: "Production"} if policy == "seed" else {})
    assert [row.decision for row in harness.promotions] == ["promoted", "promoted"]
    harness.registry.set_alias("champion", 1)
    await harness.finish()
    assert harness.registry.stages == ({1: "Production", 2: "Archived"} if policy == "seed" else {})
