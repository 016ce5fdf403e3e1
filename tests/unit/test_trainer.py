"""What the trainer decides, and how its cycle goes on after a kill at any of its arrows."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from veleta.adapters.memory import MemoryLog, MemoryRegistry, MemoryTransactions, MemoryUnitOfWork
from veleta.batches import read_events
from veleta.dataset import load_dataset
from veleta.errors import Reject, Retry, StateLost
from veleta.events.envelope import Event, decode, encode
from veleta.faults import fault_point
from veleta.features import HOLDOUT_PERCENT
from veleta.ports import Version
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth
from veleta.topics import TopicName, topic
from veleta_trainer.aliases import Aliases
from veleta_trainer.cycle import ATTEMPTS, Cycle
from veleta_trainer.domain import events
from veleta_trainer.domain.decision import decide
from veleta_trainer.domain.learning import Learning
from veleta_trainer.domain.recipe import Recipe, beyond
from veleta_trainer.domain.replay import Told
from veleta_trainer.domain.scores import scores
from veleta_trainer.domain.training import STEPS, Crowned, Request, Training, plan, rank
from veleta_trainer.fenced import Fenced
from veleta_trainer.handlers import Requests
from veleta_trainer.lease import Lease
from veleta_trainer.ports import Fitted, LeaseRow, LoggedRun
from veleta_trainer.restoring import Restoring

DATASET = load_dataset("real_estate")
DECIDED = ("seq", "decision", "reason", "decided_at")


def request(number: int, epoch: int = 1, *, first: bool = False) -> Request:
    name = f"real_estate/{epoch}/{number}"
    return Request(f"{name}/retrain", epoch, number, "drift", first, [name], f"{name}/assessed", "")


class TestPlan:
    def test_all_that_wait_are_merged_into_the_newest(self) -> None:
        """One training, for the newest batch, whatever the order of arrival."""
        found = plan([request(2), request(4), request(1)], champion=True)
        assert found.train == request(4)
        assert found.merge == [request(1), request(2)]

    def test_the_first_of_an_epoch_is_skipped_when_there_is_a_champion(self) -> None:
        """It only asks because there is nothing before it."""
        waiting = [request(0, 2, first=True)]
        assert plan(waiting, champion=True).skip == waiting
        assert plan(waiting, champion=False).train == waiting[0]

    def test_nothing_waits(self) -> None:
        """Nothing to train, merge or skip."""
        assert plan([], champion=True) == plan([], champion=False)


class TestDecide:
    def test_the_first_version_is_promoted(self) -> None:
        """There is nobody to compare it with."""
        assert decide(10.0, None, None, 5).outcome == "promoted"

    @pytest.mark.parametrize(("mae", "outcome"), [(9.99, "promoted"), (10.0, "rejected"), (10.01, "rejected")])
    def test_only_a_lower_mae_wins(self, mae: float, outcome: str) -> None:
        """Equal: rejected."""
        found = decide(mae, 3, 10.0, 1234)
        assert found.outcome == outcome
        assert "version 3 on the same 1,234 rows" in found.reason

    @pytest.mark.failure("F44")
    def test_a_champion_that_cannot_be_asked_gives_way(self) -> None:
        """Its version was deleted, or learnt from features that this code does not make: it cannot serve either."""
        found = decide(10.0, 3, None, 5)
        assert found.outcome == "promoted"
        assert "version 3 cannot be asked" in found.reason


def test_scores_by_hand() -> None:
    """RMSE, MAE, median APE and R2 of three prices, worked out on paper."""
    found = scores(np.array([100.0, 200.0, 400.0]), np.array([110.0, 180.0, 400.0]))
    assert found["mae"] == pytest.approx(10.0)
    assert found["rmse"] == pytest.approx((500 / 3) ** 0.5)
    assert found["median_ape"] == pytest.approx(0.10)
    assert found["r2"] == found["accuracy"] == pytest.approx(1 - 500 / (140000 / 3))


def test_rows_that_a_new_epoch_brings_again_count_once() -> None:
    """The united holdout tells batches apart by their digests."""
    log = MemoryLog()
    rows = api_rows(0, 30, 1)
    first, again = (publish_batch(log, DATASET, epoch, 0, rows) for epoch in (1, 2))
    other = publish_batch(log, DATASET, 1, 1, api_rows(1, 30, 1))
    assert beyond([again], [first, other, other]) == [other]


def test_the_holdout_is_never_learnt_from() -> None:
    """A property is on one side for ever; what is only held out, and unclean rows, add nothing to learn from."""
    rows = api_rows(0, 500, 3)
    both, held = Learning(DATASET), Learning(DATASET)
    both.add([*rows, {**rows[0], "price": None}], learn=True)
    held.add(rows, learn=False)
    assert len(held.train) == 0
    assert len(held.holdout) == len(both.holdout)
    assert len(both.train) + len(both.holdout) == 500
    assert len(both.holdout) == pytest.approx(500 * HOLDOUT_PERCENT / 100, rel=0.3)
    assert list(both.holdout.frame().columns) == list(both.train.frame().columns)
    assert "price" not in both.train.frame().columns


class FakeTrainings:
    """The log of intent as dictionaries."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.lines: dict[str, dict[str, Any]] = {}
        self.decisions: list[dict[str, Any]] = []

    def add(self, request: Request, at: object) -> None:
        self.requests.setdefault(request.request_id, request)
        self.lines.setdefault(request.request_id, {"state": "waiting", "attempts": 0, "requested_at": at})

    def waiting(self) -> list[Request]:
        return [r for r in self.requests.values() if self.lines[r.request_id]["state"] == "waiting"]

    def under_way(self) -> Training | None:
        for name, line in self.lines.items():
            if line["state"] in {"planned", "fitted", "registered", "decided", "aliased"}:
                found = Training(self.requests[name], line["state"], Recipe(**line["recipe"]), line["attempts"])
                made = {k: line[k] for k in ("run_id", "version", "metrics") if k in line}
                decided = next((d for d in self.decisions if d["cause"] == name), {})
                return replace(found, **made, **{k: decided[k] for k in DECIDED if k in decided})
        return None

    def write(self, request_id: str, **values: Any) -> None:
        if request_id not in self.lines:
            raise StateLost("wiped")
        self.lines[request_id] |= values

    def metrics_of(self, version: int) -> dict[str, float]:
        return next((li["metrics"] for li in self.lines.values() if li.get("version") == version), {})

    def champion(self) -> Crowned | None:
        crowned = [d for d in self.decisions if d["decision"] != "rejected"]
        return Crowned(*(crowned[-1][k] for k in ("seq", "version", "previous"))) if crowned else None

    def given_up(self) -> bool:
        states = {line["state"] for line in self.lines.values()}
        return "failed" in states and not states.intersection(STEPS)

    def restore(self, told: Told) -> None:
        for request_id, line in told.trainings.items():
            self.requests.setdefault(request_id, Request(**line["cause"]))
            if rank(line["state"]) > rank(self.lines.get(request_id, {"state": "waiting"})["state"]):
                self.lines[request_id] = {"attempts": 0, **self.lines.get(request_id, {}), **line}
            self.lines.setdefault(request_id, {"attempts": 0, **line})
        known = {decision["seq"] for decision in self.decisions}
        self.decisions += [told.promotions[seq] for seq in sorted(told.promotions.keys() - known)]

    def recipe_of(self, version: int) -> Recipe | None:
        return next((Recipe(**li["recipe"]) for li in self.lines.values() if li.get("version") == version), None)

    def decide(self, **values: Any) -> int:
        known = [d["seq"] for d in self.decisions if values["cause"] and d["cause"] == values["cause"]]
        if not known:
            self.decisions.append({**values, "seq": len(self.decisions) + 1})
        return known[0] if known else len(self.decisions)


class FakeRuns:
    def __init__(self) -> None:
        self.logged: dict[str, LoggedRun] = {}

    def log(self, recipe: Recipe, fitted: Fitted) -> LoggedRun:
        self.logged[recipe.request_id] = LoggedRun(f"run-{len(self.logged) + 1}", "model", "native", fitted.metrics)
        return self.logged[recipe.request_id]

    def get(self, run_id: str) -> LoggedRun:
        return next(run for run in self.logged.values() if run.run_id == run_id)

    def find(self, request_id: str) -> LoggedRun | None:
        return self.logged.get(request_id)

    def end_open(self) -> None:
        """Nothing is open."""


class FakeFitting:
    """Answers the next of `maes`; an error among them is raised."""

    def __init__(self, *maes: float | Exception) -> None:
        self._maes = list(maes)
        self.challenged: list[int | None] = []

    async def fit(self, recipe: Recipe, champion: Version | None, progress: Any) -> Fitted:
        self.challenged.append(champion.number if champion else None)
        await progress("fitting", 1, 2, 0.5)
        mae = self._maes.pop(0)
        if isinstance(mae, Exception):
            raise mae
        return Fitted(Path(), {"mae": mae, "holdout_rows": 9.0} | ({"champion_mae": 100.0} if champion else {}))


class MemoryLease:
    """The row of the lease; `clock` is the database's."""

    def __init__(self) -> None:
        self.clock = datetime(2026, 1, 1)  # noqa: DTZ001 - as DATETIME has it
        self.row: LeaseRow | None = None

    def now(self) -> datetime:
        return self.clock

    def load(self) -> LeaseRow | None:
        return self.row

    def save(self, row: LeaseRow) -> None:
        self.row = row


class MemoryTrainerUnitOfWork(MemoryUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.trainings = FakeTrainings()
        self.lease = MemoryLease()


class Bench:
    """A trainer on memory; `cycle` makes a fresh one, as after a restart."""

    def __init__(self, *maes: float | Exception) -> None:
        self.log = MemoryLog()
        self.transactions = MemoryTransactions(MemoryTrainerUnitOfWork())
        self.registry = MemoryRegistry()
        self.runs = FakeRuns()
        self.fitting = FakeFitting(*maes)
        for number in range(3):
            publish_batch(self.log, DATASET, 1, number, api_rows(0, 30, number))

    def ask(self, asked: Request) -> None:
        """As drift asks, and the trainer's consumer lets it wait."""
        payload = events.asked(asked, DATASET.name)
        told = Event(asked.request_id, "drift", TIME, payload, cause=asked.cause, trace=asked.trace)
        self.log.publish([encode(topic(DATASET.name, "retrain"), told)])
        self.trainings.add(asked, TIME)

    def cycle(self) -> Cycle:
        self.transactions.committed.lease.clock += timedelta(hours=1)
        lease = Lease(10.0)
        fenced = Fenced(self.transactions, lease)
        return Cycle(
            DATASET,
            self.log,
            fenced,
            OutboxPublisher(self.log, self.transactions),
            restore=Restoring(DATASET.name, self.log, self.transactions, lease).restore,
            registry=self.registry,
            aliases=Aliases(DATASET.name, self.registry, fenced, lambda: TIME),
            runs=self.runs,
            fitting=self.fitting,
            params={"iterations": 1},
            libraries={},
            health=ServiceHealth("trainer"),
            clock=lambda: TIME,
        )

    @property
    def trainings(self) -> FakeTrainings:
        return self.transactions.committed.trainings

    def wipe(self) -> None:
        """What a database that was recreated holds."""
        self.transactions.committed = MemoryTrainerUnitOfWork()

    async def finish(self) -> None:
        """Step until nothing is left, each step by a new trainer."""
        while await self.cycle().step():
            pass

    def ids(self, name: TopicName) -> list[str]:
        """The ids of a topic's events, each once, in the order of their first coming."""
        return list(dict.fromkeys(event.id for event in read_events(self.log, DATASET.name, name)))

    def said(self, name: TopicName) -> list[str]:
        """The events of a topic, but for progress."""
        full = topic(DATASET.name, name)
        events: list[Event] = [decode(r) for r in self.log.read(full, 0, 0, 10_000)]
        return [e.type for e in events if e.type != "training.progress"]


@pytest.mark.failure("F18")
async def test_the_first_training_is_promoted_step_by_step() -> None:
    """Registered, promoted, finished; the alias is set; each event once."""
    bench = Bench(50.0)
    bench.ask(request(0, first=True))
    await bench.finish()
    assert bench.said("training") == ["training.started", "training.finished"]
    assert bench.said("models") == ["model.registered", "model.promoted"]
    champion = bench.registry.alias("champion")
    assert champion is not None
    assert (champion.number, champion.tags["seq"]) == (1, "1")


@pytest.mark.failure("F46")
async def test_a_better_challenger_replaces_the_champion_a_worse_one_does_not() -> None:
    """The old one is kept as `previous`; the one that lost is `challenger`."""
    bench = Bench(50.0, 99.0, 101.0)
    for number in range(3):
        bench.ask(request(number))
        await bench.finish()
    aliases = {name: bench.registry.alias(name) for name in ("champion", "previous", "challenger")}
    assert {name: version.number for name, version in aliases.items() if version} == {
        "champion": 2,
        "previous": 1,
        "challenger": 3,
    }
    assert bench.fitting.challenged == [None, 1, 2]
    assert [d["decision"] for d in bench.trainings.decisions] == ["promoted", "promoted", "rejected"]
    assert bench.said("models")[-1] == "model.rejected"


@pytest.mark.failure("F15")
async def test_requests_that_wait_end_once_each() -> None:
    """Merged into the newest; one training, one version."""
    bench = Bench(50.0)
    for number in range(3):
        bench.ask(request(number))
    await bench.finish()
    assert [line["state"] for line in bench.trainings.lines.values()] == ["merged", "merged", "finished"]
    assert sorted(bench.said("training")) == ["training.finished", *2 * ["training.merged"], "training.started"]
    assert bench.registry.version(2) is None


async def test_a_request_of_the_first_batch_is_skipped_with_its_reason() -> None:
    """When a champion serves."""
    bench = Bench(50.0)
    bench.ask(request(0))
    await bench.finish()
    bench.ask(request(0, 2, first=True))
    await bench.finish()
    assert bench.said("training")[-1] == "training.skipped"


@pytest.mark.failure("F42")
@pytest.mark.parametrize("method", ["register", "tag", "set_alias", "version", "alias"])
async def test_a_registry_that_is_away_stops_no_training_for_good(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its calls: the step is done again, and there is still one version and one decision."""
    bench = Bench(50.0)
    bench.ask(request(0))
    real = getattr(bench.registry, method)
    away = [Retry("mlflow", "away")]

    def once_away(*args: Any) -> Any:
        if away:
            raise away.pop()
        return real(*args)

    monkeypatch.setattr(bench.registry, method, once_away)
    with pytest.raises(Retry):
        await bench.finish()
    await bench.finish()
    assert bench.said("models") == ["model.registered", "model.promoted"]
    assert bench.said("training") == ["training.started", "training.finished"]
    assert len(bench.trainings.decisions) == 1
    assert bench.registry.version(2) is None


@pytest.mark.failure("F15")
async def test_a_training_that_fails_is_tried_again_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ATTEMPTS tries it is failed and dead-lettered; the next request is served."""
    monkeypatch.setattr(ServiceHealth, "sleep", _at_once)
    bench = Bench(*[RuntimeError("killed")] * ATTEMPTS, 50.0)
    bench.ask(request(0))
    await bench.finish()
    assert bench.trainings.lines[request(0).request_id]["state"] == "failed"
    assert len(bench.fitting.challenged) == ATTEMPTS
    assert bench.said("training") == ["training.started", "training.failed"]
    assert bench.said("deadletter") == ["record.deadlettered"]
    bench.ask(request(1))
    await bench.finish()
    assert bench.said("models")[-1] == "model.promoted"


@pytest.mark.failure("F43")
async def test_requests_that_cannot_be_planned_for_go_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the registry answers: no attempt is counted, and what to wait for is said."""
    bench = Bench(50.0)
    bench.ask(request(0))
    with monkeypatch.context() as patch:
        patch.setattr(bench.registry, "alias", _denied)
        with pytest.raises(Retry, match="planning: denied"):
            await bench.cycle().step()
    assert bench.trainings.lines[request(0).request_id]["state"] == "waiting"
    await bench.finish()
    assert bench.said("models")[-1] == "model.promoted"


@pytest.mark.failure("F45")
async def test_nothing_to_learn_from_is_not_tried_again() -> None:
    """The same rows will not grow."""
    bench = Bench(Reject("nothing to learn from", "3 clean rows"))
    bench.ask(request(0))
    await bench.finish()
    assert len(bench.fitting.challenged) == 1
    assert bench.trainings.lines[request(0).request_id]["failure"] == "nothing to learn from: 3 clean rows"


@pytest.mark.failure("F10")
async def test_a_batch_that_does_not_match_its_manifest_is_not_trained_on() -> None:
    """The recipe holds the readable batches of the epoch up to the request's."""
    bench = Bench(50.0)
    publish_batch(bench.log, DATASET, 1, 3, api_rows(0, 30, 3), digest="wrong")
    publish_batch(bench.log, DATASET, 2, 0, api_rows(0, 30, 3))
    bench.ask(request(3))
    await bench.finish()
    recipe = bench.trainings.lines[request(3).request_id]["recipe"]
    assert [(b["epoch"], b["number"]) for b in recipe["batches"]] == [(1, 0), (1, 1), (1, 2)]
    assert len(list(read_events(bench.log, DATASET.name))) == 10


async def test_a_request_without_a_readable_batch_fails() -> None:
    """And does not block those behind it."""
    bench = Bench()
    bench.ask(request(0, epoch=9))
    await bench.finish()
    assert bench.said("training") == ["training.failed"]


def _denied(_alias: str) -> None:
    raise RuntimeError("denied")


async def _at_once(_health: ServiceHealth, _seconds: float) -> bool:
    return True


ARROWS = tuple(
    f"trainer.{arrow}"
    for arrow in (
        "planned", "learnt", "logged", "fitted", "created", "registered",
        "decided", "tagged", "previous", "crowned", "aliased", "finished",
    )
)  # fmt: skip
"""From the log of intent to the last event: after each of them a trainer may be killed."""


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def kill_at() -> Iterator[Callable[[str], list[str]]]:
    """Ends the process at a place, once; the list holds the place when it happened."""

    def install(place: str) -> list[str]:
        passed: list[str] = []

        def fault(here: str) -> None:
            if here == place and not passed:
                passed.append(here)
                raise Killed

        fault_point.install(fault)
        return passed

    yield install
    fault_point.install(None)


@pytest.mark.failure("F14")
@pytest.mark.parametrize("arrow", ARROWS)
async def test_a_kill_at_any_arrow_ends_in_one_version(arrow: str, kill_at: Callable[[str], list[str]]) -> None:
    """The next trainer goes on: one run, one version, one decision, both aliases, every event under one id."""
    bench = Bench(50.0, *[40.0] * 2)
    bench.ask(request(0))
    await bench.finish()
    bench.ask(request(1))
    passed = kill_at(arrow)
    with pytest.raises(Killed):
        await bench.finish()
    assert passed == [arrow]
    await bench.finish()
    assert list(bench.runs.logged) == [request(0).request_id, request(1).request_id]
    assert len(bench.fitting.challenged) == (3 if arrow == "trainer.learnt" else 2)
    assert bench.registry.version(3) is None
    assert [d["decision"] for d in bench.trainings.decisions] == ["promoted", "promoted"]
    assert [bench.registry.alias(name) for name in ("champion", "previous")] == [
        bench.registry.version(2),
        bench.registry.version(1),
    ]
    assert bench.ids("models") == [
        f"{request(n).request_id}/{what}" for n in (0, 1) for what in ("registered", "promoted")
    ]


async def test_wiped_tables_are_filled_again_and_nothing_is_trained_twice() -> None:
    """Requests, decisions and their sequence as they were; the next decision counts on."""
    bench = Bench(50.0, 40.0, 101.0, 30.0)
    for number in range(3):
        bench.ask(request(number))
        await bench.finish()
    bench.ask(request(0, 2, first=True))
    await bench.finish()
    before, decided = bench.trainings.lines, bench.trainings.decisions
    bench.wipe()
    await bench.finish()
    kept = ("state", "recipe", "run_id", "version", "metrics")
    assert {name: {k: line.get(k) for k in kept} for name, line in bench.trainings.lines.items()} == {
        name: {k: line.get(k) for k in kept} for name, line in before.items()
    }
    assert bench.trainings.decisions == decided
    assert len(bench.fitting.challenged) == 3
    bench.ask(request(1, 2))
    publish_batch(bench.log, DATASET, 2, 1, api_rows(0, 30, 9))
    await bench.finish()
    assert bench.trainings.decisions[-1]["seq"] == 4


@pytest.mark.failure("F09")
@pytest.mark.parametrize("arrow", ARROWS)
async def test_tables_wiped_in_the_middle_of_a_training(arrow: str, kill_at: Callable[[str], list[str]]) -> None:
    """What the topics know of it is restored, a run that was kept is found: one version, one decision."""
    bench = Bench(*[50.0] * 2)
    bench.ask(request(0))
    kill_at(arrow)
    with pytest.raises(Killed):
        await bench.finish()
    bench.wipe()
    await bench.finish()
    assert bench.trainings.lines[request(0).request_id]["state"] == "finished"
    assert len(bench.runs.logged) == 1
    assert bench.registry.version(2) is None
    assert [d["seq"] for d in bench.trainings.decisions] == [1]
    assert bench.ids("models") == [f"{request(0).request_id}/{what}" for what in ("registered", "promoted")]


@pytest.mark.failure("F16")
async def test_an_alias_that_was_moved_by_hand_is_recorded_and_told() -> None:
    """It becomes a decision from outside, with a number, a tag and an event; `previous` follows."""
    bench = Bench(50.0, 101.0)
    for number in range(2):
        bench.ask(request(number))
        await bench.finish()
    bench.registry.set_alias("champion", 2)
    await bench.finish()
    last = bench.trainings.decisions[-1]
    assert (last["seq"], last["version"], last["previous"], last["decision"]) == (3, 2, 1, "outside")
    champion, previous = (bench.registry.alias(name) for name in ("champion", "previous"))
    assert champion is not None
    assert champion.tags["seq"] == "3"
    assert previous is not None
    assert previous.number == 1
    assert bench.ids("models")[-1] == "real_estate/outside/3"
    await bench.finish()
    assert len(bench.trainings.decisions) == 3
    bench.wipe()
    await bench.finish()
    assert bench.trainings.decisions[-1]["decision"] == "outside"


@pytest.mark.failure("F17")
async def test_an_alias_that_is_missing_is_set_again() -> None:
    """Both are derived from the last decision."""
    bench = Bench(50.0, 40.0)
    for number in range(2):
        bench.ask(request(number))
        await bench.finish()
    for name in ("champion", "previous"):
        bench.registry.set_alias(name, 0)
    await bench.finish()
    assert [bench.registry.alias(name) for name in ("champion", "previous")] == [
        bench.registry.version(2),
        bench.registry.version(1),
    ]
    assert len(bench.trainings.decisions) == 2


@pytest.mark.failure("F16")
async def test_a_champion_that_changed_during_a_training_is_not_replaced(
    kill_at: Callable[[str], list[str]],
) -> None:
    """What was measured says nothing of the one that somebody crowned meanwhile."""
    bench = Bench(50.0, 101.0, 10.0)
    for number in range(2):
        bench.ask(request(number))
        await bench.finish()
    bench.ask(request(2))
    kill_at("trainer.registered")
    with pytest.raises(Killed):
        await bench.finish()
    bench.registry.set_alias("champion", 2)
    await bench.finish()
    assert [(d["version"], d["decision"]) for d in bench.trainings.decisions] == [
        (1, "promoted"), (2, "rejected"), (3, "rejected"), (2, "outside"),
    ]  # fmt: skip
    assert "then version 2 became the champion" in bench.trainings.decisions[2]["reason"]


@pytest.mark.failure("F17")
async def test_another_trainers_lease_is_waited_for() -> None:
    """Nothing is begun, and what to wait for is said."""
    bench = Bench(50.0)
    bench.ask(request(0))
    cycle = bench.cycle()
    lease = bench.transactions.committed.lease
    lease.row = LeaseRow("another", 7, lease.clock + timedelta(seconds=1))
    with pytest.raises(Retry, match="another trainer"):
        await cycle.step()
    assert bench.trainings.lines[request(0).request_id]["state"] == "waiting"


@pytest.mark.failure("F15")
async def test_each_batch_asks_again_while_no_champion_is_there() -> None:
    """After a failed training; not while one waits, nor once a version is promoted."""
    bench = Bench(Reject("nothing to learn from"), 50.0)
    transactions, requests = bench.transactions, Requests(lambda: TIME)
    manifest = publish_batch(bench.log, DATASET, 1, 3, api_rows(0, 30, 3))
    closed = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)

    async def due() -> list[str]:
        await transactions.run(lambda uow: requests.apply(closed, None, uow))
        pending = await transactions.run(lambda uow: uow.outbox.oldest())
        await transactions.run(lambda uow: uow.outbox.delete([number for number, _ in pending]))
        return [dict(message.headers)["ce_id"].decode() for _, message in pending]

    assert await due() == []
    bench.ask(request(0))
    assert await due() == []
    await bench.finish()
    assert await due() == ["real_estate/1/3/due"]
    bench.ask(request(1))
    await bench.finish()
    assert await due() == []
