"""What drift does after a promotion, on in-memory repositories."""

from collections.abc import Sequence

import pytest

from support.batches import TIME, publish_batch
from support.drift_models import FakeModel, reference_of
from support.markets import LEARNT, MARKET, market_levels, market_rows
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import OutboxLog, StrictTransactions
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Retry
from veleta.events.catalogue import BatchClosed, Causes, ModelPromoted, RetrainRequested
from veleta.events.envelope import Event, Record, decode, encode
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_drift.batch_sampler import LocalBatchSampler
from veleta_drift.champion_follower import ChampionFollower
from veleta_drift.handlers import DriftHandler
from veleta_drift.level_keeper import LevelKeeper

DATASET = parse_dataset(MARKET)
MODELS, RETRAIN = topic(DATASET.name, "models"), topic(DATASET.name, "retrain")
BATCH = 200
"""Rows of a batch."""


class Drift:
    """Drift with the part that follows the champion, which a restart makes anew. The log and the tables stay."""

    def __init__(self) -> None:
        self.transactions = StrictTransactions(MemoryDriftUnitOfWork())
        self.log = OutboxLog("drift", lambda: self.transactions.committed.outbox)
        self.publisher = OutboxPublisher(self.log, self.transactions)
        self.models = MemoryModels()
        self.restart()

    def restart(self, dataset: Dataset = DATASET) -> None:
        assert DATASET.market
        manifests = Manifests(DATASET.name, self.log, self.transactions)
        sampler = LocalBatchSampler(DATASET, self.log)
        keeper = LevelKeeper(
            DATASET, DATASET.market, sampler, manifests, self.transactions, self.publisher, lambda: TIME
        )
        self.handler = DriftHandler(dataset, self.log, self.transactions, self.models, lambda: TIME, levels=keeper)
        self.follower = ChampionFollower(
            dataset, self.log, self.models, manifests, keeper, self.transactions, self.publisher,
            ServiceHealth("drift"), lambda: TIME, lambda: True,
        )  # fmt: skip
        self.read = 0

    def close(self, number: int) -> BatchClosed:
        """Publish a batch."""
        return publish_batch(self.log, DATASET, 1, number, market_rows(LEARNT - 1 + number, count=BATCH, seed=number))

    async def report(self, manifest: BatchClosed) -> None:
        """Store and publish the report on a batch."""
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        prepared = await self.handler.prepare(event)
        await self.transactions.run(lambda uow: self.handler.apply(event, prepared, uow))
        await self.publisher.publish_pending()

    def promote(self, number: int, received: int = BATCH, last: int = 0) -> None:
        """A version becomes the champion, and the trainer publishes it. It learnt `received` rows, up to a batch."""
        reference = reference_of(DATASET, market_rows(0)).model_copy(update={"received": received, "last": (1, last)})
        self.models.current = FakeModel(number, reference, market=market_levels())
        promoted = ModelPromoted(
            model=DATASET.name, version=number, run_id="run", seq=number, previous=None, reason="test", native="",
            metrics={}, causes=Causes(training="t", request="r", report=None, reason="test", batches=["b"]),
        )  # fmt: skip
        self.log.publish([encode(MODELS, Event(f"promoted/{number}", "trainer", TIME, promoted))])

    async def follow(self) -> bool:
        """Read the new records, and handle what is due."""
        records: Sequence[Record] = self.log.topics.get(MODELS, [])[self.read :]
        self.follower.on_records(records)
        self.read += len(records)
        return await self.follower.handle_due()

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Id and reason of each training request."""
        events = [decode(record) for record in self.log.topics.get(RETRAIN, [])]
        return [(each.id, each.payload.reason) for each in events if isinstance(each.payload, RetrainRequested)]

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        return [(each.version, each.outcome) for each in self.transactions.committed.levels.updates.values()]


@pytest.fixture
def drift() -> Drift:
    return Drift()


async def test_a_new_champion_follows_at_once(drift: Drift) -> None:
    """The batches that closed during its training, without a further batch."""
    for number in (1, 2):
        drift.close(number)
    drift.promote(1)
    await drift.follow()
    drift.promote(2)
    await drift.follow()
    assert drift.outcomes == [(1, "moved"), (1, "moved"), (2, "moved"), (2, "moved")]


async def test_rows_that_came_during_the_training_request_the_next_one(drift: Drift) -> None:
    """The reports on their batches were made without this champion. Nothing else is due until another promotion."""
    first = drift.close(0)
    for manifest in (first, drift.close(1), drift.close(2)):
        await drift.report(manifest)
    assert [name for name, _ in drift.requests] == [f"{first.batch}/retrain"]
    drift.promote(1)
    for _ in range(2):
        assert await drift.follow()
    reason = "more data: 400 rows since the training of version 1, which learnt 200 (+200 %)"
    assert drift.requests[1:] == [(f"{DATASET.name}/1/2/retrain", reason)]
    drift.promote(2, received=3 * BATCH, last=2)
    assert await drift.follow()
    assert len(drift.requests) == 2


async def test_the_report_on_the_newest_batch_comes_first(drift: Drift) -> None:
    """It may request the training itself."""
    await drift.report(drift.close(0))
    drift.promote(1)
    newest = drift.close(1)
    assert not await drift.follow()
    assert len(drift.requests) == 1
    await drift.report(newest)
    assert len(drift.requests) == 2
    assert await drift.follow()
    drift.restart()
    assert await drift.follow()
    assert len(drift.requests) == 2


async def test_a_request_is_not_made_again(drift: Drift) -> None:
    """Neither after a restart nor by the report on the next batch, until the rows are enough again."""
    for number in range(3):
        await drift.report(drift.close(number))
    drift.promote(1, received=3 * BATCH)
    await drift.follow()
    drift.restart()
    await drift.follow()
    await drift.report(drift.close(3))
    assert [name for name, _ in drift.requests[1:]] == [f"{DATASET.name}/1/2/retrain"]
    await drift.report(drift.close(4))
    assert [name for name, _ in drift.requests[2:]] == [f"{DATASET.name}/1/4/retrain"]


async def test_few_rows_and_the_policy_seed_request_nothing(drift: Drift) -> None:
    """The policy of the course looks at no model."""
    for number in range(2):
        await drift.report(drift.close(number))
    drift.promote(1, received=3 * BATCH)
    assert await drift.follow()
    drift.restart(parse_dataset(MARKET.replace('policy = "evidence"', 'policy = "seed"')))
    drift.promote(2)
    assert await drift.follow()
    assert len(drift.requests) == 1


async def test_a_champion_that_cannot_be_loaded_is_tried_again(drift: Drift) -> None:
    """While the registry is down."""
    drift.close(1)
    drift.promote(1)

    class Down(MemoryModels):
        def champion(self) -> None:
            raise Retry("mlflow", "down")

    models, drift.follower._models = drift.models, Down()
    with pytest.raises(Retry):
        await drift.follow()
    drift.follower._models = models
    await drift.follow()
    assert drift.outcomes == [(1, "moved")]
