"""The seed's rule and its handler."""

import math

import numpy as np
import pandas as pd
import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from veleta.adapters.memory import MemoryLog, MemoryTransactions, MemoryUnitOfWork
from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, DriftAssessed, RetrainRequested
from veleta.events.envelope import Event, Record, decode
from veleta_drift.domain.figures import Columns, describe
from veleta_drift.domain.seed_rule import THRESHOLD, compare
from veleta_drift.handlers import DriftHandler

FIRST = "first of the epoch"
DATASET = load_dataset("real_estate")


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001])
def test_describe_equals_that_of_pandas(size: int) -> None:
    """Sample standard deviation and linear interpolation, to 1e-12 relative; one value has no deviation."""
    values = np.random.default_rng(size).lognormal(10, 2, size)
    expected = pd.Series(values).describe()
    found = describe(values)
    for ours, theirs in (("mean", "mean"), ("std", "std"), ("50", "50%"), ("75", "75%")):
        assert found[ours] == pytest.approx(expected[theirs], rel=1e-12, nan_ok=True)


def test_only_numbers_count() -> None:
    """Nulls, texts and NaN are left out, as pandas leaves out NaN; ignored columns are not compared."""
    columns = Columns(DATASET)
    columns.add([{"price": 1.0}, {"price": None}, {"price": "2"}, {"price": math.nan}, {"price": 3.0, "street": 9.0}])
    figures = columns.figures()
    assert figures["price", "mean"] == 2.0
    assert {name for name, _ in figures} == {"brokered_by", "price", "bed", "bath", "acre_lot", "house_size"}


@pytest.mark.failure("F41")
@pytest.mark.parametrize(
    ("old", "new", "verdict", "change", "note"),
    [
        (100.0, 115.0, "no drift", 0.15, ""),
        (100.0, 115.001, "drift", 0.15001, ""),
        (100.0, 84.999, "drift", 0.15001, ""),
        (-100.0, -84.0, "drift", 0.16, ""),
        (0.0, 0.001, "drift", None, "infinite"),
        (0.0, 0.0, "not enough data", None, "not a number"),
        (math.nan, 5.0, "not enough data", None, "not a number"),
        (5.0, math.nan, "not enough data", None, "not a number"),
    ],
)
def test_the_rule(old: float, new: float, verdict: str, change: float | None, note: str) -> None:
    """Above 15 % is drift, 15 % itself is not; infinite is above, not-a-number is not."""
    found = compare({("price", "mean"): old}, {("price", "mean"): new})
    assert (found.verdict, found.figures[0].note) == (verdict, note)
    assert found.figures[0].change == (None if change is None else pytest.approx(change))
    assert THRESHOLD == 0.15


def test_one_figure_above_is_enough_and_is_named() -> None:
    """The greatest change is the reason, the others are counted."""
    old = {("price", "mean"): 10.0, ("price", "std"): 10.0, ("bed", "mean"): 3.0}
    new = {("price", "mean"): 12.0, ("price", "std"): 20.0, ("bed", "mean"): 3.0}
    assert compare(old, new).reason == "price std changed by 1 (more than 0.15), and 1 more"


class FakeReports:
    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], DriftAssessed] = {}

    def known(self, epoch: int, number: int) -> bool:
        return (epoch, number) in self.kept

    def judged(self) -> set[tuple[int, int]]:
        return set(self.kept)

    def keep(self, assessed: DriftAssessed, at: object) -> None:
        assert at == TIME
        self.kept[assessed.epoch, assessed.number] = assessed


class MemoryDriftUnitOfWork(MemoryUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.reports = FakeReports()


class Bench:
    """Drift on memory."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.transactions = MemoryTransactions(MemoryDriftUnitOfWork())
        self.assessing = DriftHandler(DATASET, self.log, lambda: TIME)

    @property
    def reports(self) -> FakeReports:
        return self.transactions.committed.reports

    async def assess(self, manifest: BatchClosed) -> None:
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        try:
            prepared = self.assessing.prepare(event)
        except Reject as error:
            refused = error
            await self.transactions.run(lambda work: self.assessing.on_dead_letter(event, refused, work))
        else:
            await self.transactions.run(lambda work: self.assessing.apply(event, prepared, work))

    async def sent(self) -> list[Event]:
        messages = [message for _, message in self.transactions.committed.outbox.oldest()]
        return [decode(Record(m.topic, 0, 0, m.key, m.headers, m.value)) for m in messages]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_first_batch_asks_for_training_and_has_nothing_to_compare(bench: Bench) -> None:
    """Not enough data is not no drift: a report without figures, and a request that says why."""
    await bench.assess(publish_batch(bench.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    report, request = await bench.sent()
    assert isinstance(report.payload, DriftAssessed)
    assert (report.payload.verdict, report.payload.reason, report.payload.previous) == ("not enough data", FIRST, None)
    assert isinstance(request.payload, RetrainRequested)
    assert request.payload.first
    assert request.cause == report.id


async def test_a_batch_like_the_one_before_asks_for_nothing(bench: Bench) -> None:
    """All 24 figures are stored all the same."""
    rows = api_rows(0, 50, 1)
    await bench.assess(publish_batch(bench.log, DATASET, 1, 0, rows))
    await bench.assess(publish_batch(bench.log, DATASET, 1, 1, rows))
    last = (await bench.sent())[-1]
    assert isinstance(last.payload, DriftAssessed)
    assert (last.payload.verdict, last.payload.previous, len(last.payload.figures)) == ("no drift", 0, 24)


@pytest.mark.failure("F12", "F18")
async def test_a_verdict_once_given_stays(bench: Bench) -> None:
    """A manifest that comes again sends nothing."""
    manifest = publish_batch(bench.log, DATASET, 1, 0, api_rows(0, 50, 1))
    await bench.assess(manifest)
    before = await bench.sent()
    await bench.assess(manifest)
    assert await bench.sent() == before


@pytest.mark.failure("F10")
async def test_a_batch_that_cannot_be_read_gets_its_verdict_and_is_stepped_over(bench: Bench) -> None:
    """It is not enough data; the one after it is compared with the last complete one."""
    await bench.assess(publish_batch(bench.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await bench.assess(publish_batch(bench.log, DATASET, 1, 1, api_rows(0, 50, 2), digest="wrong"))
    assert bench.reports.kept[1, 1].verdict == "not enough data"
    assert "another digest" in bench.reports.kept[1, 1].reason
    await bench.assess(publish_batch(bench.log, DATASET, 1, 2, api_rows(0, 50, 1)))
    assert (bench.reports.kept[1, 2].previous, bench.reports.kept[1, 2].verdict) == (0, "no drift")


async def test_an_epoch_knows_nothing_of_the_one_before(bench: Bench) -> None:
    """The first batch of epoch 2 has no previous one."""
    await bench.assess(publish_batch(bench.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await bench.assess(publish_batch(bench.log, DATASET, 2, 0, api_rows(5, 50, 1)))
    assert bench.reports.kept[2, 0].reason == FIRST


async def test_a_request_names_the_two_batches(bench: Bench) -> None:
    """So that a promotion can answer: why this model?"""
    await bench.assess(publish_batch(bench.log, DATASET, 1, 0, api_rows(0, 50, 1)))
    await bench.assess(publish_batch(bench.log, DATASET, 1, 1, api_rows(5, 50, 1)))
    request = (await bench.sent())[-1].payload
    assert isinstance(request, RetrainRequested)
    assert not request.first
    assert request.batches == ["real_estate/1/0", "real_estate/1/1"]
