"""The level of the champion, on in-memory repositories."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from support.batches import TIME, publish_batch
from support.drift_models import FakeModel, reference_of
from support.markets import LEARNT, MARKET, market_levels, market_rows, month
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import OutboxLog, StrictTransactions
from veleta.dataset import parse_dataset
from veleta.errors import Reject, Retry, StateLost
from veleta.events.catalogue import (
    AcceptLevel,
    BatchClosed,
    CommandAccepted,
    DriftAssessed,
    LevelUpdated,
    PinLevel,
    ResetLevel,
    RetrainRequested,
)
from veleta.events.envelope import Event, decode
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.topics import TopicName, topic
from veleta_drift.batch_sampler import LocalBatchSampler
from veleta_drift.handlers import DriftHandler
from veleta_drift.level_keeper import MAX_MISSED, LevelKeeper

DATASET = parse_dataset(MARKET)
assert DATASET.market


def champion(**changes: Any) -> FakeModel:
    """A version that learnt the batches up to 1/0, in a market that did not change."""
    reference = reference_of(DATASET, market_rows(0)).model_copy(update={"last": (1, 0), "received": 10_000})
    return replace(FakeModel(1, reference, market=market_levels()), **changes)


class Drift:
    """A handler with a keeper of the level."""

    def __init__(self, model: FakeModel, log: OutboxLog | None = None) -> None:
        assert DATASET.market
        self.transactions = StrictTransactions(MemoryDriftUnitOfWork())
        self.log = log or OutboxLog("drift", lambda: self.transactions.committed.outbox)
        self.models = MemoryModels(model)
        manifests = Manifests(DATASET.name, self.log, self.transactions)
        self.publisher = OutboxPublisher(self.log, self.transactions)
        self.keeper = LevelKeeper(
            DATASET, DATASET.market, LocalBatchSampler(DATASET, self.log), manifests, self.transactions, self.publisher,
            lambda: TIME,
        )  # fmt: skip
        self.handler = DriftHandler(DATASET, self.log, self.transactions, self.models, lambda: TIME, levels=self.keeper)

    def publish(self, number: int, factor: float = 1.0, epoch: int = 1, **rows: Any) -> BatchClosed:
        rows = {"seed": number + 1, **rows}
        return publish_batch(self.log, DATASET, epoch, number, market_rows(LEARNT - 1 + number, factor=factor, **rows))

    def move(self, bias: float) -> None:
        """The market moves: prices are so much above what the champion predicts without the level."""
        assert isinstance(self.models.current, FakeModel)
        self.models.current = replace(self.models.current, bias=bias)

    async def handle(self, manifest: BatchClosed) -> DriftAssessed:
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        prepared = await self.handler.prepare(event)
        await self.transactions.run(lambda uow: self.handler.apply(event, prepared, uow))
        await self.publisher.publish_pending()
        return prepared.report

    def events(self, name: TopicName) -> list[Event]:
        return [decode(record) for record in self.log.topics.get(topic(DATASET.name, name), [])]

    @property
    def updates(self) -> list[LevelUpdated]:
        """The stored updates."""
        return list(self.transactions.committed.levels.updates.values())


@pytest.fixture
def drift() -> Drift:
    return Drift(champion())


async def test_each_batch_moves_the_level_once(drift: Drift) -> None:
    """By one row and one event, which name the batch. The same batch again changes nothing."""
    drift.move(0.03)
    manifest = drift.publish(1)
    for _ in range(2):
        await drift.handle(manifest)
    (update,), (event,) = drift.updates, drift.events("levels")
    assert event.payload == update
    assert (event.id, event.cause) == (f"{manifest.batch}/level/1", f"{manifest.batch}/closed")
    assert (update.seq, update.outcome, update.rows, update.cause) == (1, "moved", 1_000, event.cause)
    assert (update.period, update.as_of) == (month(LEARNT), month(LEARNT).replace(day=15))
    assert update.value == pytest.approx(0.03, abs=0.01)
    assert update.reason.startswith("level +")


async def test_the_level_is_published_before_the_tests_run(drift: Drift) -> None:
    """`prepare` has published it, and no report is stored yet."""
    manifest = drift.publish(1)
    await drift.handler.prepare(Event("closed", "poller", TIME, manifest))
    assert len(drift.events("levels")) == 1
    assert not drift.transactions.committed.reports.reports


async def test_a_batch_is_read_once(drift: Drift) -> None:
    """For the level and for the tests."""
    manifest = drift.publish(1)
    await drift.handle(manifest)
    assert drift.log.read_records[topic(DATASET.name, "rows")] == manifest.chunks


async def test_what_the_version_learnt_is_not_followed(drift: Drift) -> None:
    """Nor by a version without a market."""
    await drift.handle(drift.publish(0))
    drift.models.current = champion(market=None)
    await drift.handle(drift.publish(1))
    assert drift.updates == []


async def test_a_new_champion_follows_the_batches_that_it_missed(drift: Drift) -> None:
    """The newest of them, in order, without a further batch."""
    for number in range(1, MAX_MISSED + 3):
        drift.publish(number, count=100)
    await drift.keeper.follow_newest(drift.models.champion())
    assert [each.number for each in drift.updates] == list(range(3, MAX_MISSED + 3))
    await drift.keeper.follow_newest(drift.models.champion())
    assert len(drift.updates) == MAX_MISSED


async def test_a_version_that_does_not_say_what_it_learnt_follows_the_present_batch_only(drift: Drift) -> None:
    """As one of an earlier release."""
    drift.models.current = champion(reference=None)
    for number in range(3):
        drift.publish(number)
    await drift.keeper.follow_newest(drift.models.champion())
    assert [each.number for each in drift.updates] == [2]


async def test_the_same_rows_again_leave_the_level_as_it_is(drift: Drift) -> None:
    """As a later batch of the epoch, or as the batch of the next epoch that the version has learnt."""
    drift.move(0.03)
    drift.publish(0, seed=5)
    manifest = drift.publish(1)
    await drift.handle(manifest)
    again = publish_batch(drift.log, DATASET, 1, 2, market_rows(LEARNT, seed=2))
    assert again.digest == manifest.digest
    await drift.handle(again)
    await drift.handle(drift.publish(0, epoch=2, seed=5))
    first, *copies = drift.updates
    assert [each.outcome for each in copies] == ["copy", "copy"]
    assert {each.value for each in copies} == {first.value}


async def test_rows_that_cannot_be_read_leave_no_update(drift: Drift) -> None:
    """The next batch is followed."""
    rows = market_rows(LEARNT)
    broken = publish_batch(drift.log, DATASET, 1, 1, rows, digest="0" * 64)
    with pytest.raises(Reject):
        await drift.handle(broken)
    empty = publish_batch(drift.log, DATASET, 1, 2, [row | {"price": None} for row in rows])
    await drift.handle(empty)
    assert drift.updates == []
    await drift.handle(drift.publish(3))
    assert [each.number for each in drift.updates] == [3]


@pytest.mark.failure("F469")
async def test_a_level_that_waits_is_a_finding(drift: Drift) -> None:
    """Prices times 1,000 are no reason for a training: the shape is as before."""
    report = await drift.handle(drift.publish(1))
    drift.move(math.log(1_000))
    report = await drift.handle(drift.publish(2))
    assert drift.updates[-1].outcome == "waiting"
    assert drift.updates[-1].value == drift.updates[0].value
    assert drift.updates[-1].reason in report.findings
    evidence = next(each for each in report.verdicts if each.policy == "evidence")
    assert evidence.verdict == "no drift", evidence.reason


async def test_a_moved_level_needs_no_training_and_a_changed_shape_does(drift: Drift) -> None:
    """The reason says both."""
    drift.move(0.05)
    report = await drift.handle(drift.publish(1))
    report = await drift.handle(drift.publish(2))
    assert report.verdict == "no drift", report.reason
    assert ", no training: the champion's errors" in report.reason
    assert isinstance(drift.models.current, FakeModel)
    drift.models.current = replace(drift.models.current, spread=0.4)
    report = await drift.handle(drift.publish(3))
    assert report.verdict == "drift"
    assert ", the shape changed: the median error grew by" in report.reason


async def test_more_data_request_a_training_without_an_alarm(drift: Drift) -> None:
    """Once, when the rows since the training are half of those that the champion learnt."""
    assert isinstance(drift.models.current, FakeModel)
    reference = drift.models.current.reference
    assert reference
    small = reference.model_copy(update={"received": 4_000})
    drift.models.current = replace(drift.models.current, reference=small)
    reports = [await drift.handle(drift.publish(number)) for number in range(4)]
    assert [each.growth and (each.growth.rows, each.growth.requested) for each in reports] == [
        (0, 0), (1_000, 0), (2_000, 2_000), (3_000, 2_000),
    ]  # fmt: skip
    requests = [event.payload for event in drift.events("retrain")]
    assert all(isinstance(each, RetrainRequested) for each in requests)
    assert [(each.number, each.reason) for each in requests if isinstance(each, RetrainRequested)][1:] == [
        (2, "more data: 2,000 rows since the training of version 1, which learnt 4,000 (+50 %)")
    ]
    assert reports[2].verdict == "no drift"


async def test_a_version_that_does_not_say_what_it_learnt_has_no_growth(drift: Drift) -> None:
    """And with the policy `seed` no version has one."""
    reference = reference_of(DATASET, market_rows(0)).model_copy(update={"last": (1, 0)})
    drift.models.current = champion(reference=reference)
    assert (await drift.handle(drift.publish(1))).growth is None
    text = MARKET.replace('policy = "evidence"', 'policy = "seed"')
    drift.models.current = champion()
    drift.handler = DriftHandler(
        parse_dataset(text), drift.log, drift.transactions, drift.models, lambda: TIME, levels=drift.keeper
    )
    assert (await drift.handle(drift.publish(2))).growth is None


async def test_the_level_is_no_merit_of_a_training(drift: Drift) -> None:
    """Both versions are compared without their mean error: one whose level is 20 % off is no worse."""
    drift.models.replaced = replace(champion(), number=9, bias=0.2)
    report = await drift.handle(drift.publish(1))
    mine, other = report.errors
    assert abs(mine.bias) < 1e-9
    assert abs(other.bias) < 1e-9
    assert other.mae == pytest.approx(mine.mae, rel=0.2), "the noise of a fake model depends on the number of rows"


async def test_two_workers_update_the_level_once(drift: Drift) -> None:
    """The second one finds the update, or has to try again."""
    manifest = drift.publish(1)
    other = Drift(champion(), drift.log)
    other.transactions = drift.transactions
    other.keeper._transactions = drift.transactions
    found = await asyncio.gather(
        *(each.keeper.follow(manifest, drift.models.champion()) for each in (drift, other)), return_exceptions=True
    )
    assert all(each is None or not isinstance(each, BaseException) or isinstance(each, Retry) for each in found)
    assert len(drift.updates) == 1


@pytest.mark.failure("F468")
async def test_a_wiped_table_is_noticed_and_restored(drift: Drift) -> None:
    """Every update by its event, though some come twice."""
    for number in (1, 2):
        await drift.handle(drift.publish(number))
    stored = drift.updates
    published = drift.events("levels")
    drift.transactions.committed.levels.updates.clear()
    with pytest.raises(StateLost, match="the last update of the level is 0, not 2"):
        await drift.handle(drift.publish(3))
    for _ in range(2):
        await drift.transactions.run(lambda uow: drift.handler.restore(published, uow))
    assert drift.updates == stored


def command(kind: type, **fields: Any) -> Any:
    return kind(dataset=DATASET.name, actor="ada", **fields)


async def test_a_person_pins_accepts_and_resets_the_level(drift: Drift) -> None:
    """Each is an update with the person and the reason, and a reply in the same transaction."""
    model = drift.models.champion()
    effect = await drift.keeper.obey("c1", command(PinLevel, factor=1.07, reason="an appraisal"), model)
    assert effect == "the level of version 1 is pinned at 1.07 times the prices of 2020-01"
    await drift.handle(drift.publish(1))
    await drift.keeper.obey("c2", command(ResetLevel), model)
    drift.move(math.log(0.8))
    await drift.handle(drift.publish(2))
    effect = await drift.keeper.obey("c3", command(AcceptLevel, reason="a crash"), model)
    assert effect.startswith("the level of version 1 is accepted: level -2")
    found = [(each.outcome, each.actor, each.pinned) for each in drift.updates]
    assert found == [
        ("pinned", "ada", True), ("held", None, True), ("reset", "ada", False), ("waiting", None, False),
        ("accepted", "ada", False),
    ]  # fmt: skip
    assert drift.updates[0].reason == "an appraisal"
    assert drift.updates[0].value == math.log(1.07)
    assert drift.updates[-1].value == pytest.approx(math.log(0.8), abs=0.02)
    assert [event.id for event in drift.events("levels") if event.cause == "c1"] == ["c1/level"]
    replies = [event.payload for event in drift.events("commands")]
    assert [each.command for each in replies if isinstance(each, CommandAccepted)] == ["c1", "c2", "c3"]


@pytest.mark.parametrize(
    ("commands", "refusal"),
    [
        ([command(AcceptLevel)], "the level of version 1 waits for nothing"),
        ([command(ResetLevel)], "the level of version 1 is that of its training"),
        ([command(PinLevel, factor=1.1)] * 2, "the level of version 1 is already pinned at 1.1"),
    ],
)
async def test_a_command_without_an_effect_is_refused(drift: Drift, commands: list[Any], refusal: str) -> None:
    """With the reason."""
    *before, last = commands
    for each in before:
        await drift.keeper.obey("before", each, drift.models.champion())
    with pytest.raises(Reject, match=refusal):
        await drift.keeper.obey("last", last, drift.models.champion())


async def test_without_a_champion_with_a_market_commands_are_refused(drift: Drift) -> None:
    """There is no level."""
    for model in (None, champion(market=None)):
        with pytest.raises(Reject, match="there is no champion with a market"):
            await drift.keeper.obey("c", command(AcceptLevel), model)
