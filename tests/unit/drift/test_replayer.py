"""A replay of the drift reports of a deployment, from its topics."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from support.batches import TIME, publish_batch, send
from support.drift_models import FakeModel, reference_of
from support.listings import api_rows
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import MemoryLog, MemoryTransactions
from veleta.dataset import Dataset, DriftPolicy, load_dataset, parse_dataset
from veleta.errors import Reject, Retry
from veleta.events.catalogue import DatasetDeclared, DriftAssessed
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.features import in_holdout
from veleta.topics import topic
from veleta_drift.handlers import DriftHandler
from veleta_drift.replayer import Replay, Replayer

DATASET = load_dataset("real_estate")

FIRST = FakeModel(1, reference_of(DATASET, api_rows(0, 500, 1), 500))
SECOND = replace(FIRST, number=2, bias=0.05)

LEARNT = next(row for row in api_rows(1, 300, 21) if not in_holdout(DATASET, DATASET.convert(row)[0]))
"""A row of a property that versions learn."""


class Deployment:
    """A drift service on in-memory ports, and replays of its topics."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.live = MemoryTransactions(MemoryDriftUnitOfWork())
        self.models = MemoryModels()
        self.dataset = DATASET
        self.restart()
        self.declare(DATASET)

    def restart(self, dataset: Dataset = DATASET) -> None:
        """A new process of the service, with a dataset file."""
        self.dataset = dataset
        self.handler = DriftHandler(dataset, self.log, self.live, self.models, lambda: TIME)

    def declare(self, dataset: Dataset) -> None:
        """Publish a dataset file as the poller does."""
        declared = DatasetDeclared(dataset=dataset.name, digest=dataset.digest, toml=dataset.text)
        self.log.publish([encode(topic(dataset.name, "batches"), Event("declared", "poller", TIME, declared))])

    async def assess(self, epoch: int, number: int, rows: Sequence[dict[str, Any]], **manifest: Any) -> None:
        """Publish a batch, and let drift store and publish its report."""
        closed = publish_batch(self.log, self.dataset, epoch, number, rows, **manifest)
        event = Event(f"{closed.batch}/closed", "poller", TIME, closed)
        try:
            prepared = await self.handler.prepare(event)
        except Reject as error:
            rejection = error
            await self.live.run(lambda uow: self.handler.on_dead_letter(event, rejection, uow))
        else:
            await self.live.run(lambda uow: self.handler.apply(event, prepared, uow))
        await self.live.run(self._publish)

    async def assess_some(self) -> None:
        """Batches of two epochs: the champion changes, one batch cannot be read, and drift is restarted."""
        await self.assess(1, 0, api_rows(0, 300, 1))
        self.models.current = FIRST
        await self.assess(1, 1, api_rows(5, 300, 2))
        self.restart()
        await self.assess(1, 2, api_rows(5, 300, 3), digest="another")
        self.models.current, self.models.replaced = SECOND, FIRST
        await self.assess(1, 3, api_rows(0, 300, 4))
        self.restart()
        await self.assess(1, 4, api_rows(0, 300, 5))
        await self.assess(2, 0, api_rows(0, 300, 1))

    async def judge(self) -> None:
        """The batches after those, until there was one of each number since the last promotion."""
        await self.assess(2, 1, [LEARNT])
        for number in (2, 5):
            await self.assess(2, number, api_rows(number, 300, 20 + number))

    async def replay(
        self, policy: DriftPolicy | None = None, models: MemoryModels | None = None
    ) -> tuple[Replay, MemoryDriftUnitOfWork]:
        """What a replay found, and its tables."""
        scratch = MemoryTransactions(MemoryDriftUnitOfWork())
        known = models or MemoryModels(older=[FIRST, SECOND])
        published = {name: len(records) for name, records in self.log.topics.items()}
        replayer = Replayer(DATASET, self.log, scratch, lambda _file: known, lambda: TIME, policy)
        found = await replayer.replay()
        assert {name: len(records) for name, records in self.log.topics.items()} == published
        return found, scratch.committed

    @property
    def reports(self) -> dict[tuple[int, int], DriftAssessed]:
        """The live reports."""
        return self.live.committed.reports.reports

    def _publish(self, uow: MemoryDriftUnitOfWork) -> None:
        stored = uow.outbox.oldest()
        self.log.publish([message for _, message in stored])
        uow.outbox.delete([number for number, _ in stored])


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


async def test_a_replay_has_the_reports_of_the_service(deployment: Deployment) -> None:
    """All of each report, with its tests, errors and risk, and the judged training. It publishes nothing."""
    await deployment.assess_some()
    await deployment.judge()
    found, tables = await deployment.replay()
    assert found.replayed == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (2, 2), (2, 5)]
    assert (found.left_out, found.unreported, found.policies) == ({}, 0, {DATASET.drift.policy})
    assert tables.reports.reports == deployment.reports
    assert deployment.reports[2, 1].errors == [], "no row of the holdout"
    assert [each.champion for each in deployment.reports.values()] == [None, 1, None, *[2] * 6]
    assert tables.retrain_verdicts.verdicts == deployment.live.committed.retrain_verdicts.verdicts != {}


@pytest.mark.failure("F461")
async def test_a_report_without_the_errors_of_a_pair_is_not_replayable(deployment: Deployment) -> None:
    """An earlier release compared two versions and did not publish that. Its judged training is restored."""
    await deployment.assess_some()
    await deployment.judge()
    drift = topic(DATASET.name, "drift")
    for position, record in enumerate(deployment.log.topics[drift]):
        document = orjson.loads(record.value)
        if document.pop("pair", None):
            deployment.log.topics[drift][position] = replace(record, value=orjson.dumps(document))
    found, tables = await deployment.replay()
    assert set(found.left_out.values()) == {"an earlier release reported it"}
    assert (1, 3) in found.left_out
    assert (1, 1) in found.replayed
    assert tables.retrain_verdicts.verdicts == deployment.live.committed.retrain_verdicts.verdicts


async def test_another_policy_decides_alone(deployment: Deployment) -> None:
    """The verdicts of all policies, the tests and the errors stay. The tables of the service are not touched."""
    await deployment.assess_some()
    before = dict(deployment.reports)
    other: DriftPolicy = "seed" if DATASET.drift.policy != "seed" else "evidence"
    _, tables = await deployment.replay(other)
    assert deployment.reports == before
    decided = {"verdict", "reason", "policy"}
    for key, report in tables.reports.reports.items():
        assert report.policy == other
        chosen = next(each for each in report.verdicts if each.policy == other)
        copied = report.reason.startswith("the same rows as")
        assert copied or (report.verdict, report.reason) == (chosen.verdict, chosen.reason)
        assert report.model_dump(exclude=decided) == before[key].model_dump(exclude=decided)


@pytest.mark.failure("F461")
async def test_what_was_deleted_leaves_a_batch_out(deployment: Deployment) -> None:
    """Its version, its rows, or those of the batch before it. The reports of the other batches are the same."""
    await deployment.assess_some()
    found, tables = await deployment.replay(models=MemoryModels(older=[SECOND]))
    assert found.left_out == dict.fromkeys([(1, 1), (1, 3), (1, 4), (2, 0)], "version 1 was deleted")
    assert found.replayed == [(1, 0), (1, 2)]
    assert tables.reports.reports == deployment.reports
    assert tables.retrain_verdicts.verdicts == deployment.live.committed.retrain_verdicts.verdicts
    rows = topic(DATASET.name, "rows")
    first = next(r.offset for r in deployment.log.topics[rows] if r.key.endswith("/1/1"))
    deployment.log.delete_before(rows, 0, first)
    found, tables = await deployment.replay()
    assert found.left_out == {
        (1, 0): "rows deleted by retention: real_estate/1/0",
        (1, 1): "rows deleted by retention: real_estate/1/0",
    }
    assert found.replayed == [(1, 2), (1, 3), (1, 4), (2, 0)]
    assert tables.reports.reports == deployment.reports


@pytest.mark.failure("F461")
async def test_a_report_of_an_earlier_release_is_left_out(deployment: Deployment) -> None:
    """It has no verdicts beside its own."""
    await deployment.assess(1, 0, api_rows(0, 300, 1))
    name = topic(DATASET.name, "drift")
    (record,) = deployment.log.topics[name]
    event = decode(record)
    assert isinstance(event.payload, DriftAssessed)
    old = replace(event, payload=event.payload.model_copy(update={"verdicts": []}))
    deployment.log.topics[name] = [_record(encode(name, old))]
    found, _ = await deployment.replay()
    assert found.left_out == {(1, 0): "an earlier release reported it"}


async def test_each_batch_is_replayed_with_its_own_dataset_file(deployment: Deployment) -> None:
    """One that is not in the topics, or that this release cannot read, leaves its batches out."""
    await deployment.assess(1, 0, api_rows(0, 300, 1))
    strict = parse_dataset(DATASET.text.replace("[drift]", "[drift]\nfalse_alarms = 0.01"))
    deployment.restart(strict)
    await deployment.assess(1, 1, api_rows(0, 300, 2))
    await deployment.assess(1, 2, api_rows(0, 300, 3))
    lost = "its dataset file is not in the topics"
    assert (await deployment.replay())[0].left_out == {(1, 1): lost, (1, 2): lost}
    deployment.declare(strict)
    found, tables = await deployment.replay()
    assert found.left_out == {}
    assert tables.reports.reports == deployment.reports
    assert len({each.verdicts[1].parameters for each in deployment.reports.values()}) == 2


async def test_a_dataset_file_that_is_no_longer_valid_is_named(deployment: Deployment) -> None:
    """A later release may refuse a key of it."""
    old = DATASET.model_copy(update={"text": DATASET.text.replace("[drift]", "[drift]\nobsolete = 1")})
    deployment.restart(old)
    deployment.declare(old)
    await deployment.assess(1, 0, api_rows(0, 300, 1))
    reasons = (await deployment.replay())[0].left_out
    assert reasons[1, 0].startswith("its dataset file is no longer valid: ")
    assert "obsolete" in reasons[1, 0]


async def test_a_batch_without_a_report_is_counted(deployment: Deployment) -> None:
    """The service has not handled it yet. A manifest that was published twice is one batch."""
    await deployment.assess(1, 0, api_rows(0, 300, 1))
    closed = publish_batch(deployment.log, DATASET, 1, 1, api_rows(0, 300, 2))
    send(deployment.log, DATASET, "batches", closed, "closed")
    found, _ = await deployment.replay()
    assert (found.replayed, found.unreported) == ([(1, 0)], 1)


async def test_a_batch_that_was_measured_without_the_registry_is_replayed(deployment: Deployment) -> None:
    """The report names why it has no champion."""

    class Down(MemoryModels):
        def champion(self) -> None:
            raise Retry("mlflow", "down")

    seed = parse_dataset(DATASET.text)
    seed = seed.model_copy(update={"drift": seed.drift.model_copy(update={"policy": "seed"})})
    deployment.models = Down()
    deployment.restart(seed)
    await deployment.assess(1, 0, api_rows(0, 300, 1))
    _, tables = await deployment.replay("seed")
    assert {each.reason for each in deployment.reports[1, 0].verdicts} >= {"mlflow: down"}
    assert tables.reports.reports == deployment.reports


def _record(message: Message) -> Record:
    return Record(message.topic, 0, 0, message.key, message.headers, message.value)
