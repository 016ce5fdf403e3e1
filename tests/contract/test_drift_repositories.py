"""One suite for drift's repository in memory and in MySQL."""

from collections.abc import AsyncIterator, Callable
from datetime import date
from functools import partial
from itertools import count

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from support.batches import TIME
from support.testbed import Testbed
from support.twins.drift import MemoryDriftUnitOfWork
from support.twins.shared import MemoryTransactions
from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine
from veleta.clock import for_sql
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import (
    Baseline,
    DriftAssessed,
    DriftTest,
    Growth,
    Histogram,
    HistogramBin,
    LevelUpdated,
    PairErrors,
    PolicyVerdict,
    Reference,
    RetrainJudged,
    RiskState,
    Statistic,
    VersionErrors,
)
from veleta.ports import Transactions
from veleta.tables import (
    STATISTICS,
    batch_errors,
    dataset_tables,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    histograms,
    retrain_verdicts,
)
from veleta_drift.adapters import repositories
from veleta_drift.adapters.repositories import MysqlDriftUnitOfWork
from veleta_drift.domain.threshold_rule import POLICY, THRESHOLD, compare
from veleta_drift.ports import DriftUnitOfWork

DriftTransactions = Transactions[DriftUnitOfWork]
DATASET = load_dataset("real_estate")
EPOCHS = count(1)


@pytest.fixture
def epoch() -> int:
    """An epoch without a report; the tests share the tables in MySQL."""
    return next(EPOCHS)


@pytest.fixture(params=["memory", "mysql"])
async def transactions(request: pytest.FixtureRequest) -> AsyncIterator[DriftTransactions]:
    """The transactions under test."""
    if request.param == "memory":
        yield MemoryTransactions(MemoryDriftUnitOfWork())
        return
    testbed: Testbed = request.getfixturevalue("testbed")
    comparison = dataset_tables(testbed.dataset).comparison
    engine = async_mysql_engine(testbed.mysql("drift"))
    yield AsyncMysqlTransactions(
        engine, partial(MysqlDriftUnitOfWork, comparison=comparison, model=testbed.dataset.name)
    )
    await engine.dispose()


def report(epoch: int, number: int) -> DriftAssessed:
    """A report in which one change is infinite and one is not a number. The first batch has no comparison."""
    old = {(column, name): 1.0 for column in DATASET.drift_columns for name in STATISTICS}
    old |= {("bed", "mean"): 0.0, ("bed", "std"): float("nan")}
    assessment = compare(DATASET, old, dict.fromkeys(old, 2.0))
    return DriftAssessed(
        dataset=DATASET.name,
        epoch=epoch,
        number=number,
        previous=number - 1 if number else None,
        verdict=assessment.verdict,
        reason=assessment.reason,
        policy=POLICY,
        threshold=THRESHOLD,
        dataset_digest=DATASET.digest,
        figures=list(assessment.statistics) if number else [],
        findings=["volume: 1 rows", "another"] if number else [],
        baseline=baseline(number) if number else None,
    )


def baseline(number: int) -> Baseline:
    """A baseline with a value that has many digits."""
    reference = Reference(column="price", statistic="mean", value=0.1 + 0.2, number=number)
    return Baseline(number=number, dataset_digest="d", rows=9, values={"price": 8}, statistics=[reference])


async def insert(transactions: DriftTransactions, *reports: DriftAssessed) -> None:
    def transaction(uow: DriftUnitOfWork) -> None:
        for each in reports:
            uow.reports.insert(each, TIME)

    await transactions.run(transaction)


async def keys(transactions: DriftTransactions, epoch: int) -> set[tuple[int, int]]:
    return await transactions.run(lambda uow: {(epoch, n) for n in range(10) if uow.reports.exists(epoch, n)})


async def test_an_inserted_report_exists(transactions: DriftTransactions, epoch: int) -> None:
    """By epoch and number."""
    await insert(transactions, report(epoch, 0), report(epoch, 1))
    assert await keys(transactions, epoch) == {(epoch, 0), (epoch, 1)}
    assert await transactions.run(lambda uow: uow.reports.exists(epoch, 1))
    assert not await transactions.run(lambda uow: uow.reports.exists(epoch, 2))
    assert not await transactions.run(lambda uow: uow.reports.exists(epoch + 1_000, 1))


@pytest.mark.failure("F359")
async def test_a_report_may_have_no_figures(transactions: DriftTransactions, epoch: int) -> None:
    """A forged one that is restored may, though it names the batch before. It delays no start."""
    await insert(transactions, report(epoch, 1).model_copy(update={"figures": []}))
    assert await keys(transactions, epoch) == {(epoch, 1)}


async def test_a_batch_has_one_report(transactions: DriftTransactions, epoch: int) -> None:
    """A second one is an error, and nothing of its transaction is stored."""
    await insert(transactions, report(epoch, 1))
    with pytest.raises(IntegrityError):
        await insert(transactions, report(epoch, 2), report(epoch, 1))
    assert await keys(transactions, epoch) == {(epoch, 1)}


@pytest.mark.failure("F270")
async def test_the_baseline_is_that_of_the_last_report_before_a_batch(
    transactions: DriftTransactions, epoch: int
) -> None:
    """In its epoch, with each digit of its values. None if that report has none, as one of an earlier version."""
    await insert(transactions, report(epoch, 0), report(epoch, 1), report(epoch, 2), report(epoch + 1_000, 3))

    def stored(number: int) -> Callable[[DriftUnitOfWork], Baseline | None]:
        return lambda uow: uow.reports.baseline(epoch, number)

    found = [await transactions.run(stored(number)) for number in (0, 1, 2, 3, 9)]
    assert found == [None, None, baseline(1), baseline(2), baseline(2)]


async def test_a_transaction_that_raises_is_rolled_back(transactions: DriftTransactions, epoch: int) -> None:
    """Report, checkpoint and outbox are committed together or not at all."""

    def transaction(uow: DriftUnitOfWork) -> None:
        uow.reports.insert(report(epoch, 1), TIME)
        uow.checkpoints.save("t", 0, 4)
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        await transactions.run(transaction)
    assert await keys(transactions, epoch) == set()
    assert await transactions.run(lambda uow: uow.checkpoints.load_all()) == {}
    await insert(transactions, report(epoch, 1))  # nothing was left in any table: it can be inserted


async def test_a_report_is_stored_in_three_tables(testbed: Testbed, epoch: int) -> None:
    """NULL and a note where a change is no finite number. A report without a comparison is in the first table only."""
    comparison = dataset_tables(testbed.dataset).comparison
    engine = async_mysql_engine(testbed.mysql("drift"))
    transactions = AsyncMysqlTransactions(
        engine, partial(MysqlDriftUnitOfWork, comparison=comparison, model=testbed.dataset.name)
    )
    stored = report(epoch, 1)
    figures = [stored.figures[0].model_copy(update={"previous": -3}), *stored.figures[1:]]
    stored = stored.model_copy(update={"figures": figures})
    await insert(transactions, report(epoch, 0), stored)
    await engine.dispose()
    reports = testbed.sql(sa.select(drift_reports).where(drift_reports.c.epoch == epoch))
    at = for_sql(TIME)
    assert stored.baseline is not None
    assert [tuple(row) for row in reports] == [
        (epoch, 0, None, "drift", stored.reason, "seed", at, *[None] * 7),
        (
            epoch, 1, 0, "drift", stored.reason, "seed", at, "volume: 1 rows\nanother", stored.baseline.model_dump(),
            *[None] * 5,
        ),
    ]  # fmt: skip
    (row,) = testbed.sql(sa.select(comparison).where(comparison.c.epoch == epoch))
    changes = {f"{each.column}_{each.statistic}": each.change for each in stored.figures}
    assert row._mapping == {"epoch": epoch, "number": 1, "previous": 0, "compared_at": at, "retrain": 1, **changes}
    bed = sa.select(drift_metrics).where(drift_metrics.c.epoch == epoch, drift_metrics.c.column_name == "bed")
    metrics = {row.statistic: (row.relative_change, row.verdict, row.note) for row in testbed.sql(bed)}
    assert metrics == {
        "mean": (None, "drift", "infinite"),
        "std": (None, "not enough data", "not a number"),
        "50": (1.0, "drift", ""),
        "75": (1.0, "drift", ""),
    }
    previous = sa.select(drift_metrics.c.previous).where(drift_metrics.c.epoch == epoch)
    assert sorted(row.previous for row in testbed.sql(previous)) == [-3, *[0] * 23]


@pytest.mark.failure("F146")
async def test_a_report_with_a_column_that_the_dataset_file_no_longer_has_is_stored(
    testbed: Testbed, epoch: int
) -> None:
    """It is restored after a wipe: its statistics are in drift_metrics, the comparison has the current columns."""
    comparison = dataset_tables(testbed.dataset).comparison
    engine = async_mysql_engine(testbed.mysql("drift"))
    transactions = AsyncMysqlTransactions(
        engine, partial(MysqlDriftUnitOfWork, comparison=comparison, model=testbed.dataset.name)
    )
    stored = report(epoch, 1)
    removed = Statistic(column="removed", statistic="mean", old=1.0, new=2.0, change=1.0, exceeds=True)
    await insert(transactions, stored.model_copy(update={"figures": [*stored.figures, removed]}))
    await engine.dispose()
    assert len(testbed.sql(sa.select(comparison.c.number).where(comparison.c.epoch == epoch))) == 1
    query = sa.select(drift_metrics.c.new_value).where(
        drift_metrics.c.epoch == epoch, drift_metrics.c.column_name == "removed"
    )
    assert testbed.sql(query) == [(2.0,)]


DIGEST = "0f" * 32
PAIR = PairErrors(
    version=3, previous=2, batches=2, numbers=[0, 1], complete=True, rows=400, weight=2_000, error=9.5,
    previous_error=9.75, difference=-0.1 / 3, variance=0.7,
)  # fmt: skip
RISK = RiskState(version=3, threshold=0.2, rows=400, total=40.1, variation=8.5, lower=0.05)
GROWTH = Growth(version=3, learnt=100, rows=40, requested=20)
PARTS = {
    "champion": 3,
    "verdicts": [
        PolicyVerdict(policy="evidence", parameters=DIGEST, verdict="drift", reason="r", unweighted="no drift")
    ],
    "tests": [
        DriftTest(
            arm="errors", subject="a = b", test="bias", p_value=0.01, effect=0.1, limit=0.02, level=0.02, fires=True
        )
    ],
    "errors": [VersionErrors(version=3, rows=80, mae=9.5, bias=0.1)],
    "risk": RISK,
    "pair": PAIR,
    "growth": GROWTH,
    "histograms": [
        Histogram(
            column="n",
            reference="champion",
            bins=[
                HistogramBin(upper=0.38, share=0.1, reference_share=0.0),
                HistogramBin(lower=0.38, share=0.9, reference_share=1.0),
            ],
        ),
        Histogram(column="t", bins=[HistogramBin(category="x", share=0.6), HistogramBin(share=0.4)]),
    ],
    "importance": {"n": 0.25},
}


async def test_the_risk_of_the_last_report_is_that_of_its_champion(transactions: DriftTransactions, epoch: int) -> None:
    """With each digit. None if that report is about another version."""
    await insert(transactions, report(epoch, 1).model_copy(update=PARTS))

    async def risk(number: int, version: int) -> RiskState | None:
        return await transactions.run(lambda uow: uow.reports.risk(epoch, number, version))

    assert [await risk(2, 3), await risk(2, 4)] == [RISK, None]
    await insert(transactions, report(epoch, 3))  # its rows could not be read
    assert await risk(4, 3) == RISK


async def test_what_is_known_of_a_pair_of_versions_is_that_of_the_last_report(
    transactions: DriftTransactions, epoch: int
) -> None:
    """With each digit. None if that report is about other versions."""
    await insert(transactions, report(epoch, 1).model_copy(update=PARTS))

    async def pair(number: int, version: int, previous: int) -> PairErrors | None:
        return await transactions.run(lambda uow: uow.reports.pair(epoch, number, version, previous))

    assert [await pair(2, 3, 2), await pair(2, 3, 1), await pair(2, 4, 2)] == [PAIR, None, None]
    await insert(transactions, report(epoch, 3))  # its rows could not be read
    assert await pair(4, 3, 2) == PAIR


async def test_a_training_is_judged_once(transactions: DriftTransactions, epoch: int) -> None:
    """The verdicts are counted. A second one on the same version, or on the same batch, changes nothing."""

    def judged(version: int, verdict: str) -> RetrainJudged:
        return RetrainJudged(
            dataset=DATASET.name, epoch=epoch, number=1, version=version, previous=1, rows=80, mae=9.0,
            previous_mae=10.0, change=-0.1, p_value=0.01, verdict=verdict, batches=6,
        )  # fmt: skip

    before = await transactions.run(lambda uow: uow.retrain_verdicts.counts())
    version = 1_000 + epoch
    await transactions.run(lambda uow: uow.retrain_verdicts.insert(judged(version, "helped"), TIME))
    await transactions.run(lambda uow: uow.retrain_verdicts.insert(judged(version, "harmed"), TIME))
    counts = await transactions.run(lambda uow: uow.retrain_verdicts.counts())
    assert {name: count - before.get(name, 0) for name, count in counts.items()} == {"helped": 1}
    assert await transactions.run(lambda uow: uow.retrain_verdicts.exists(version))
    assert not await transactions.run(lambda uow: uow.retrain_verdicts.exists(version + 1_000))


async def test_each_part_of_a_report_has_its_table(testbed: Testbed, epoch: int) -> None:
    """With its order and each of its values."""
    engine = async_mysql_engine(testbed.mysql("drift"))
    comparison = dataset_tables(testbed.dataset).comparison
    transactions = AsyncMysqlTransactions(
        engine, partial(MysqlDriftUnitOfWork, comparison=comparison, model=testbed.dataset.name)
    )
    await insert(transactions, report(epoch, 1).model_copy(update=PARTS))

    def rows(table: sa.Table) -> list[tuple[object, ...]]:
        return [tuple(row)[2:] for row in testbed.sql(sa.select(table).where(table.c.epoch == epoch))]

    (stored,) = rows(drift_reports)
    assert stored[-5:] == (3, RISK.model_dump(), {"n": 0.25}, PAIR.model_dump(), GROWTH.model_dump())
    assert rows(drift_verdicts) == [("evidence", "drift", "r", DIGEST, "no drift")]
    assert rows(drift_tests) == [(0, "champion", "errors", "a = b", "bias", 0.01, 0.1, 0.02, True, "", 0.02)]
    assert rows(batch_errors) == [(3, 80, 9.5, 0.1)]
    judged = RetrainJudged(
        dataset=DATASET.name, epoch=epoch, number=1, version=3, previous=2, rows=80, mae=9.0, previous_mae=10.0,
        change=-0.1, p_value=0.01, verdict="helped", batches=6,
    )  # fmt: skip
    await transactions.run(lambda uow: uow.retrain_verdicts.insert(judged, TIME))
    assert rows(retrain_verdicts) == [(3, 2, 80, 9.0, 10.0, -0.1, 0.01, "helped", for_sql(TIME), 6)]
    assert rows(histograms) == [
        ("n", 0, None, 0.38, None, 0.1, 0.0, "champion"),
        ("n", 1, 0.38, None, None, 0.9, 1.0, "champion"),
        ("t", 0, None, None, "x", 0.6, None, None),
        ("t", 1, None, None, None, 0.4, None, None),
    ]
    await engine.dispose()


@pytest.mark.failure("F455")
async def test_only_the_newest_batches_have_histograms(
    testbed: Testbed, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the table is bounded. The verdicts of older batches stay."""
    monkeypatch.setattr(repositories, "KEPT_HISTOGRAMS", 2)
    engine = async_mysql_engine(testbed.mysql("drift"))
    comparison = dataset_tables(testbed.dataset).comparison
    transactions = AsyncMysqlTransactions(
        engine, partial(MysqlDriftUnitOfWork, comparison=comparison, model=testbed.dataset.name)
    )
    newest = 1_000_000  # no other test has later epochs
    for key in ((newest, 8), (newest, 9), (newest + 1, 0), (newest + 1, 1)):
        await insert(transactions, report(*key).model_copy(update=PARTS))
    await engine.dispose()
    kept = sa.select(histograms.c.epoch, histograms.c.number).where(histograms.c.epoch >= newest).distinct()
    assert sorted(map(tuple, testbed.sql(kept))) == [(newest + 1, 0), (newest + 1, 1)]
    assert len(testbed.sql(sa.select(drift_reports).where(drift_reports.c.epoch >= newest))) == 4
    assert testbed.sql(sa.select(histograms).where(histograms.c.epoch < newest)) == []


def update(version: int, **changes: object) -> LevelUpdated:
    """An update of a level by a batch, with values that have many digits."""
    day = date(2014, 11, 28)
    return LevelUpdated(
        model=DATASET.name, version=version, run_id="run", seq=1, period=day.replace(day=1),
        as_of=day, value=0.1 + 0.2, error=0.005, slope=0.001, rows=480, outcome="moved", reason="level +1.8 %",
        cause=f"{version}/closed", epoch=1, number=6, digest="5f" * 32, seen=0.1 / 3, seen_error=0.0071,
    ).model_copy(update=changes)  # fmt: skip


async def test_updates_of_a_level_are_found_by_version_batch_digest_and_cause(
    transactions: DriftTransactions, epoch: int
) -> None:
    """Each as it was stored. A version whose number was used again, with another run, has none."""
    version, key = 1_000 + epoch, (1_000 + epoch, "run")

    def store(uow: DriftUnitOfWork) -> list[LevelUpdated]:
        seq = uow.levels.last_seq()
        batches = [update(version, seq=seq + n + 1, number=n, digest=f"{n:064x}", cause=f"b{n}") for n in range(3)]
        command = {"epoch": None, "number": None, "digest": "", "seen": None, "seen_error": None, "cause": "command"}
        pinned = update(version, seq=seq + 4, outcome="pinned", pinned=True, actor="ada", **command)
        waiting = update(version, seq=seq + 5, number=3, cause="b3", waiting=-0.2, waiting_error=0.01, digest="")
        for each in (*batches, pinned, waiting):
            uow.levels.insert(each, TIME)
        return [*batches, pinned, waiting]

    stored = await transactions.run(store)
    last = await transactions.run(lambda uow: uow.levels.last(*key))
    assert last
    stored = [each.model_copy(update={"model": last.model}) for each in stored]  # the deployment's own name
    assert last == stored[-1]
    assert await transactions.run(lambda uow: uow.levels.last_seq()) == stored[-1].seq
    assert await transactions.run(lambda uow: uow.levels.of_batches(*key, 1, 2, 2)) == stored[1:3]
    assert await transactions.run(lambda uow: uow.levels.of_batches(*key, 2, 0, 9)) == [*stored[:3], stored[-1]]
    assert await transactions.run(lambda uow: uow.levels.exists(*key, "command"))
    assert not await transactions.run(lambda uow: uow.levels.exists(version, "other", "command"))
    assert await transactions.run(lambda uow: uow.levels.has_digest(*key, f"{1:064x}"))
    assert not await transactions.run(lambda uow: uow.levels.has_digest(*key, f"{9:064x}"))
    assert await transactions.run(lambda uow: uow.levels.last(version, "other")) is None


async def test_a_number_of_an_update_is_used_once(transactions: DriftTransactions, epoch: int) -> None:
    """Of two workers that race one has to try again. A restored update that is stored already changes nothing."""
    version = 1_000 + epoch
    seq = await transactions.run(lambda uow: uow.levels.last_seq()) + 1
    first, second = update(version, seq=seq), update(version, seq=seq, value=9.0)
    await transactions.run(lambda uow: uow.levels.insert(first, TIME))
    with pytest.raises(Retry, match="another worker"):
        await transactions.run(lambda uow: uow.levels.insert(second, TIME))
    await transactions.run(lambda uow: uow.levels.restore(second, TIME))
    last = await transactions.run(lambda uow: uow.levels.last(version, "run"))
    assert last
    assert last.value == first.value


async def test_the_growth_of_a_version_is_that_of_its_last_report(transactions: DriftTransactions, epoch: int) -> None:
    """A report without one is passed over. A version that was promoted after a report can be added to it."""
    version = 1_000 + epoch
    growth = GROWTH.model_copy(update={"version": version})
    await insert(
        transactions, report(epoch, 0), report(epoch, 1).model_copy(update={"growth": growth, "champion": version})
    )
    await insert(transactions, report(epoch, 2))
    assert await transactions.run(lambda uow: uow.reports.growth(epoch, 3, version)) == growth
    assert await transactions.run(lambda uow: uow.reports.growth(epoch, 3, version + 1)) is None
    assert await transactions.run(lambda uow: uow.reports.growth(epoch, 1, version)) is None
    later = growth.model_copy(update={"version": version + 2})
    await transactions.run(lambda uow: uow.reports.set_growth(epoch, 2, later))
    assert await transactions.run(lambda uow: uow.reports.growth(epoch, 3, version + 2)) == later
    assert await transactions.run(lambda uow: uow.reports.growth(epoch, 3, version)) == growth
