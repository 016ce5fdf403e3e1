"""One suite for the trainer's repositories, in memory and in MySQL."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from support.testbed import Testbed
from support.trainer import REFERENCE
from support.twins.shared import MemoryTransactions
from support.twins.trainer import MemoryTrainerUnitOfWork
from veleta.adapters.level_rows import level_row
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.errors import StateLost
from veleta.events.catalogue import LevelOutcome, LevelUpdated, Measures
from veleta.market import Level
from veleta.ports import Transactions, Version
from veleta.tables import evaluations, interval_levels, leases, market_levels, outbox, promotions, trainings
from veleta_trainer.adapters.repositories import MysqlTrainerUnitOfWork
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.interval_level import IntervalLevelRow
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import PromotionRow, Training, TrainingRequest, TrainingRow, waiting_row
from veleta_trainer.ports import LeaseRow, TrainerUnitOfWork

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
RECIPE = Recipe(
    request_id="d/1/0/retrain",
    dataset="d",
    dataset_digest="digest",
    dataset_file="name = 'd'",
    feature_version=1,
    batches=[],
    more_holdout=[],
    champion=None,
    params={"iterations": 5, "loss_function": "RMSE"},
    libraries={"numpy": "2"},
)
StoredMeasures = Callable[[], set[tuple[Any, ...]]]
"""Returns all rows of PIPELINE.evaluations: version, model, slice, metric, value, holdout_rows."""
METRICS = {"mae": 71250.5, "r2": -0.25}
DOCUMENT = RECIPE.model_dump(mode="json")


@pytest.fixture(params=["memory", "mysql"])
def transactions(request: pytest.FixtureRequest) -> Iterator[Transactions[TrainerUnitOfWork]]:
    """Transactions on empty tables."""
    if request.param == "memory":
        yield MemoryTransactions(MemoryTrainerUnitOfWork())
        return
    testbed: Testbed = request.getfixturevalue("testbed")
    with testbed.admin.begin() as connection:
        for table in (trainings, promotions, evaluations, interval_levels, leases, outbox):
            connection.execute(sa.delete(table))
    engine = mysql_engine(testbed.mysql("trainer"))
    yield MysqlTransactions(engine, MysqlTrainerUnitOfWork)
    engine.dispose()


@pytest.fixture
def stored_measures(request: pytest.FixtureRequest, transactions: Transactions[TrainerUnitOfWork]) -> StoredMeasures:
    """Reads the table: no service does."""
    if isinstance(transactions, MemoryTransactions):
        return lambda: {
            (version, each.model, each.slice, metric, value, each.rows)
            for version, measures in transactions.committed.evaluations.rows.items()
            for each in measures
            for metric, value in each.metrics.items()
        }
    testbed: Testbed = request.getfixturevalue("testbed")
    return lambda: {tuple(row) for row in testbed.sql(sa.select(evaluations))}


def request(number: int) -> TrainingRequest:
    name = f"d/1/{number}"
    return TrainingRequest(f"{name}/retrain", 1, number, "drift", number == 0, [name], f"{name}/assessed", "00-trace")


def level(version: int, epoch: int, number: int) -> IntervalLevelRow:
    """The level of a version after a batch."""
    return IntervalLevelRow(version, epoch, number, "run", 400, 0.66, 0.8, 0.8933, TIME)


def add(*numbers: int) -> Callable[[TrainerUnitOfWork], None]:
    """Insert requests that arrived in this order."""

    def transaction(uow: TrainerUnitOfWork) -> None:
        for position, number in enumerate(numbers):
            uow.trainings.add(request(number), TIME + timedelta(seconds=position))

    return transaction


def start(number: int, **columns: Any) -> Callable[[TrainerUnitOfWork], None]:
    """Insert a request and plan its training."""

    def transaction(uow: TrainerUnitOfWork) -> None:
        uow.trainings.add(request(number), TIME + timedelta(seconds=number))
        update: Any = {"state": "planned", "recipe": DOCUMENT, "started_at": TIME, **columns}
        uow.trainings.update(request(number).request_id, update)

    return transaction


def decision(outcome: Any, version: int = 1, cause: str | None = None) -> PromotionRow:
    return PromotionRow(version, None, outcome, "a reason", "trainer", cause, TIME)


def active(uow: TrainerUnitOfWork) -> Training | None:
    return uow.trainings.active()


def champion(uow: TrainerUnitOfWork) -> PromotionRow | None:
    return uow.promotions.champion()


class TestTrainings:
    async def test_requests_wait_in_the_order_of_arrival(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """Each has all its fields."""
        await transactions.run(add(3, 1, 2))
        assert await transactions.run(lambda uow: uow.trainings.waiting()) == [request(3), request(1), request(2)]

    async def test_a_request_is_inserted_once(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """A request that is delivered again does not reset its row."""
        await transactions.run(start(0))
        await transactions.run(add(0))
        assert await transactions.run(lambda uow: uow.trainings.waiting()) == []
        assert await transactions.run(active) == Training(request(0), "planned", RECIPE, attempts=0)

    async def test_an_update_changes_only_the_named_columns(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """Until the training ends it is the one in progress."""
        assert await transactions.run(active) is None
        await transactions.run(start(0))
        name = request(0).request_id
        metrics = {"mae": 1.5}
        await transactions.run(
            lambda uow: uow.trainings.update(name, {"state": "fitted", "run_id": "r1", "metrics": metrics})
        )
        await transactions.run(lambda uow: uow.trainings.update(name, {"attempts": 2}))
        profile = REFERENCE.profile()
        await transactions.run(lambda uow: uow.trainings.update(name, {"profile": profile.model_dump(mode="json")}))
        expected = Training(request(0), "fitted", RECIPE, attempts=2, run_id="r1", metrics=metrics, profile=profile)
        assert await transactions.run(active) == expected
        await transactions.run(
            lambda uow: uow.trainings.update(name, {"state": "finished", "version": 1, "ended_at": TIME})
        )
        assert await transactions.run(active) is None

    async def test_a_missing_row_is_lost_state(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """The table was wiped since the row was read."""
        with pytest.raises(StateLost, match="d/1/0/retrain"):
            await transactions.run(lambda uow: uow.trainings.update("d/1/0/retrain", {"attempts": 1}))

    async def test_an_update_that_changes_nothing_is_no_lost_state(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """A repeated transaction writes the same values again."""
        await transactions.run(start(0))
        for _ in range(2):
            await transactions.run(lambda uow: uow.trainings.update(request(0).request_id, {"state": "fitted"}))

    async def test_the_newest_training_of_a_version_counts(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """A registry that was recreated counts its versions from 1 again."""
        for number, mae in ((0, 1.0), (1, 2.0)):
            await transactions.run(start(number, state="finished", version=1, metrics={"mae": mae}))
        training = await transactions.run(lambda uow: uow.trainings.of_version(1))
        assert training is not None
        assert (training.request, training.recipe, training.metrics) == (request(1), RECIPE, {"mae": 2.0})
        assert await transactions.run(lambda uow: uow.trainings.of_version(2)) is None

    @pytest.mark.parametrize(
        ("states", "needed"),
        [
            ([], False),
            (["failed"], True),
            (["failed", "merged", "finished"], True),
            (["failed", "waiting"], False),
            (["failed", "decided"], False),
            (["finished"], False),
        ],
    )
    async def test_a_new_request_is_needed_after_a_failure(
        self, transactions: Transactions[TrainerUnitOfWork], states: list[str], needed: bool
    ) -> None:
        """Only if no request is waiting or in progress."""
        for number, state in enumerate(states):
            await transactions.run(start(number, state=state))
        assert await transactions.run(lambda uow: uow.trainings.needs_new_request()) is needed

    async def test_restoring_inserts_missing_rows_and_advances_those_behind(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """A row that is further than the topics show stays as it is."""
        await transactions.run(add(0))
        await transactions.run(start(1, state="registered", version=7))
        rows: list[TrainingRow] = [
            {**waiting_row(request(0), TIME), "state": "planned", "recipe": DOCUMENT, "started_at": TIME},
            {**waiting_row(request(1), TIME), "state": "skipped", "ended_at": TIME},
            {**waiting_row(request(2), TIME), "state": "waiting"},
        ]
        rows[1]["state"] = "planned"
        await transactions.run(lambda uow: uow.trainings.restore(rows))
        assert await transactions.run(lambda uow: uow.trainings.waiting()) == [request(2)]
        training = await transactions.run(active)
        assert training is not None
        assert training.request == request(0)
        registered = await transactions.run(lambda uow: uow.trainings.of_version(7))
        assert registered is not None
        assert registered.state == "registered"


class TestPromotions:
    async def test_decisions_are_numbered_from_one(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """`append` returns the decision with its number."""
        for seq in (1, 2, 3):
            stored = await transactions.run(lambda uow: uow.promotions.append(decision("rejected")))
            assert stored == replace(decision("rejected"), seq=seq)

    async def test_a_request_leads_to_one_decision(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """Repeated after a crash, the first decision stays."""
        first = await transactions.run(lambda uow: uow.promotions.append(decision("promoted", 1, "r")))
        again = await transactions.run(lambda uow: uow.promotions.append(decision("rejected", 2, "r")))
        assert again == first == await transactions.run(lambda uow: uow.promotions.of_request("r"))
        assert await transactions.run(lambda uow: uow.promotions.of_request("other")) is None

    async def test_a_decision_has_what_the_gates_found(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """In words and as numbers."""
        gates = (Check("mae", "MAE 1", passed=True, values={"change": -0.1}), Check("chance", "few", passed=False))
        decided = replace(decision("rejected", 1, "r"), gates=gates)
        assert await transactions.run(lambda uow: uow.promotions.append(decided)) == replace(decided, seq=1)
        assert await transactions.run(lambda uow: uow.promotions.of_request("r")) == replace(decided, seq=1)

    async def test_the_last_promotion_makes_the_champion(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """A promotion by hand counts, a rejection does not."""
        assert await transactions.run(champion) is None
        for outcome, version in (("promoted", 1), ("outside", 2), ("rejected", 3)):
            await transactions.run(lambda uow, o=outcome, v=version: uow.promotions.append(decision(o, v)))  # type: ignore[misc]
        assert await transactions.run(champion) == replace(decision("outside", 2), seq=2)

    async def test_the_champions_are_listed_in_their_order(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """With the outcome that made each of them the champion."""
        made = [("promoted", 1), ("rejected", 2), ("outside", 3), ("rolled back", 1), ("deleted", 1)]
        for outcome, version in made:
            await transactions.run(lambda uow, o=outcome, v=version: uow.promotions.append(decision(o, v)))  # type: ignore[misc]
        stored = await transactions.run(lambda uow: uow.promotions.champions())
        assert stored == [(1, "promoted"), (3, "outside"), (1, "rolled back")]
        assert await transactions.run(champion) == replace(decision("rolled back", 1), seq=4)

    async def test_restoring_inserts_missing_decisions_under_their_numbers(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """Stored ones stay, and the next decision gets the next number."""
        stored = await transactions.run(lambda uow: uow.promotions.append(decision("promoted", 1)))
        rows = [replace(decision("promoted", 9), seq=4), replace(decision("rejected", 8), seq=1)]
        await transactions.run(lambda uow: uow.promotions.restore(rows))
        assert await transactions.run(champion) == rows[0]
        following = await transactions.run(lambda uow: uow.promotions.append(decision("rejected", 2)))
        assert (stored.seq, following.seq) == (1, 5)

    async def test_a_deletion_belongs_to_one_promotion(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """It is no champion. A registry that was recreated promotes a version with the same number again."""
        first = await transactions.run(lambda uow: uow.promotions.append(decision("promoted")))
        assert not await transactions.run(lambda uow: uow.promotions.has_deletion(first))
        await transactions.run(lambda uow: uow.promotions.append(decision("deleted")))
        assert await transactions.run(lambda uow: uow.promotions.has_deletion(first))
        assert await transactions.run(champion) == first
        again = await transactions.run(lambda uow: uow.promotions.append(decision("promoted")))
        assert not await transactions.run(lambda uow: uow.promotions.has_deletion(again))


class TestIntervalLevels:
    async def test_the_last_level_is_that_of_the_last_batch(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """Of this version, in whatever order the rows were stored. A row is stored twice without effect."""
        for row in (level(1, 2, 0), level(1, 1, 9), level(2, 2, 5), level(1, 2, 0)):
            await transactions.run(lambda uow, row=row: uow.interval_levels.save(row))  # type: ignore[misc]
        assert await transactions.run(lambda uow: uow.interval_levels.last(Version(1, "run"))) == level(1, 2, 0)
        assert await transactions.run(lambda uow: uow.interval_levels.last(Version(3, "run"))) is None

    async def test_a_version_of_another_run_has_its_own_levels(
        self, transactions: Transactions[TrainerUnitOfWork]
    ) -> None:
        """A registry that was recreated counts from 1 again: the row of a batch is that of the later version."""
        old, new = level(1, 1, 0), replace(level(1, 1, 0), run_id="another", level=0.5)
        await transactions.run(lambda uow: uow.interval_levels.save(old))
        assert await transactions.run(lambda uow: uow.interval_levels.last(Version(1, "another"))) is None
        await transactions.run(lambda uow: uow.interval_levels.save(new))
        assert await transactions.run(lambda uow: uow.interval_levels.last(Version(1, "another"))) == new


class TestMarketLevels:
    async def test_the_levels_of_a_version_are_the_last_ones_of_each_period(
        self, transactions: Transactions[TrainerUnitOfWork], request: pytest.FixtureRequest
    ) -> None:
        """Those before a batch, with the commands of that time. A reset forgets the levels before it."""
        may, june = date(2014, 5, 1), date(2014, 6, 1)
        rows: list[tuple[int, tuple[int, int] | None, LevelOutcome, date, float]] = [
            (1, (1, 4), "moved", may, 0.01),
            (1, (1, 5), "moved", may, 0.02),
            (2, (1, 5), "moved", may, 0.5),
            (1, (1, 6), "moved", june, 0.03),
            (1, None, "pinned", june, 0.04),
            (1, (1, 7), "held", june, 0.05),
        ]
        self._store(transactions, request, rows)

        async def found(version: int, before: tuple[int, int] | None = None) -> dict[date, float]:
            history = await transactions.run(lambda uow: uow.market_levels.history(version, "run", before))
            return {day: level.value for day, level in history.periods.items()}

        assert await found(1) == {may: 0.02, june: 0.03}
        assert await found(1, (1, 6)) == {may: 0.02}
        assert await found(1, (1, 5)) == {may: 0.01}
        assert await found(3) == {}
        history = await transactions.run(lambda uow: uow.market_levels.history(1, "run"))
        assert history.now == Level(0.05, 0.005)
        self._store(transactions, request, [*rows, (1, None, "reset", may, 0.0), (1, (1, 8), "moved", june, 0.06)])
        assert await found(1) == {june: 0.06}

    def _store(
        self,
        transactions: Transactions[TrainerUnitOfWork],
        request: pytest.FixtureRequest,
        rows: Sequence[tuple[int, tuple[int, int] | None, LevelOutcome, date, float]],
    ) -> None:
        """Replace all rows, as drift writes them."""
        updates = [
            LevelUpdated(
                model="", version=version, run_id="run", seq=seq, period=period, as_of=period, value=value, error=0.005,
                rows=9, outcome=outcome, reason="r", cause="c", epoch=batch and batch[0], number=batch and batch[1],
            )
            for seq, (version, batch, outcome, period, value) in enumerate(rows, 1)
        ]  # fmt: skip
        if isinstance(transactions, MemoryTransactions):
            transactions.committed.market_levels.updates = updates
            return
        with request.getfixturevalue("testbed").admin.begin() as connection:
            connection.execute(sa.delete(market_levels))
            for each in updates:
                connection.execute(sa.insert(market_levels).values(**level_row(each, TIME)))


class TestEvaluations:
    async def test_the_measures_of_a_version_replace_the_stored_ones(
        self, transactions: Transactions[TrainerUnitOfWork], stored_measures: StoredMeasures
    ) -> None:
        """Those of other versions stay."""
        ohio, utah = (Measures(model="champion", slice=f"state = {name}", rows=3, metrics=METRICS) for name in "OU")
        for version, measures in [(1, [ohio]), (2, [ohio, utah]), (1, [utah]), (3, [ohio]), (3, [])]:
            await transactions.run(lambda uow, v=version, m=measures: uow.evaluations.replace(v, m))  # type: ignore[misc]
        expected = [(1, utah), (2, ohio), (2, utah)]
        assert stored_measures() == {
            (version, each.model, each.slice, metric, value, each.rows)
            for version, each in expected
            for metric, value in METRICS.items()
        }


class TestLease:
    async def test_the_row_is_replaced(self, transactions: Transactions[TrainerUnitOfWork]) -> None:
        """There is one lease, and none at first."""
        assert await transactions.run(lambda uow: uow.lease.load()) is None
        now = await transactions.run(lambda uow: uow.lease.now())
        assert now.tzinfo is None
        for row in (LeaseRow("one", 1, now), LeaseRow("two", 2, now + timedelta(seconds=1))):
            await transactions.run(lambda uow, row=row: uow.lease.save(row))  # type: ignore[misc]
            assert await transactions.run(lambda uow: uow.lease.load()) == row


async def test_a_transaction_that_raises_changes_no_table(transactions: Transactions[TrainerUnitOfWork]) -> None:
    """Training, decision and lease are rolled back together."""
    await transactions.run(start(0))

    def transaction(uow: TrainerUnitOfWork) -> None:
        uow.trainings.add(request(1), TIME)
        uow.trainings.update(request(0).request_id, {"state": "decided", "version": 1, "attempts": 2})
        uow.promotions.append(decision("promoted"))
        uow.lease.save(LeaseRow("one", 1, uow.lease.now()))
        raise ValueError("after all writes")

    with pytest.raises(ValueError, match="after all writes"):
        await transactions.run(transaction)
    assert await transactions.run(active) == Training(request(0), "planned", RECIPE, attempts=0)
    assert await transactions.run(lambda uow: uow.trainings.waiting()) == []
    assert await transactions.run(champion) is None
    assert await transactions.run(lambda uow: uow.lease.load()) is None
