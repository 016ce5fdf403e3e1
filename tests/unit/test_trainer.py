"""What the trainer decides, and how its cycle goes on after a kill at any of its arrows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from veleta.adapters.memory import MemoryLedger, MemoryLog, MemoryRegistry
from veleta.batches import history
from veleta.dataset import load_dataset
from veleta.errors import Reject, Retry
from veleta.events.envelope import Event, decode
from veleta.features import HOLDOUT_PERCENT
from veleta.life import Life
from veleta.loop import Relay
from veleta.ports import Version
from veleta.topics import TopicName, topic
from veleta_trainer.cycle import ATTEMPTS, Cycle
from veleta_trainer.domain.decision import decide
from veleta_trainer.domain.learning import Learning
from veleta_trainer.domain.recipe import Recipe, beyond
from veleta_trainer.domain.scores import scores
from veleta_trainer.domain.training import Request, Training, plan
from veleta_trainer.ports import Fitted, LoggedRun

DATASET = load_dataset("real_estate")


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
                return replace(found, **made, **{k: decided[k] for k in ("seq", "decision", "reason") if k in decided})
        return None

    def write(self, request_id: str, **values: Any) -> None:
        self.lines[request_id] |= values

    def recipe_of(self, version: int) -> Recipe | None:
        return next((Recipe(**li["recipe"]) for li in self.lines.values() if li.get("version") == version), None)

    def decide(self, **values: Any) -> int:
        known = [d["seq"] for d in self.decisions if d["cause"] == values["cause"]]
        if not known:
            self.decisions.append({**values, "seq": len(self.decisions) + 1})
        return known[0] if known else len(self.decisions)


class FakeRuns:
    def __init__(self) -> None:
        self.logged: list[str] = []

    def log(self, recipe: Recipe, fitted: Fitted) -> LoggedRun:
        self.logged.append(recipe.request_id)
        return self.get(f"run-{len(self.logged)}")

    def get(self, run_id: str) -> LoggedRun:
        return LoggedRun(run_id, f"runs:/{run_id}/model", f"runs:/{run_id}/native")

    def end_open(self) -> None:
        """Nothing is open."""


class FakeFitting:
    """Answers the next of `maes`; an error among them is raised."""

    def __init__(self, *maes: float | Exception) -> None:
        self._maes = list(maes)
        self.challenged: list[int | None] = []

    async def fit(self, recipe: Recipe, champion: Version | None, progress: Any) -> Fitted:
        self.challenged.append(champion.number if champion else None)
        await progress("fitting", 1, 2)
        mae = self._maes.pop(0)
        if isinstance(mae, Exception):
            raise mae
        return Fitted(Path(), {"mae": mae, "holdout_rows": 9.0} | ({"champion_mae": 100.0} if champion else {}))


class Bench:
    """A trainer on memory; `cycle` makes a fresh one, as after a restart."""

    def __init__(self, *maes: float | Exception) -> None:
        self.log = MemoryLog()
        self.ledger = MemoryLedger()
        self.trainings = FakeTrainings()
        self.registry = MemoryRegistry()
        self.runs = FakeRuns()
        self.fitting = FakeFitting(*maes)
        for number in range(3):
            publish_batch(self.log, DATASET, 1, number, api_rows(0, 30, number))

    def cycle(self) -> Cycle:
        return Cycle(
            DATASET,
            self.log,
            self.ledger,
            Relay(self.log, self.ledger),
            trainings=lambda _work: self.trainings,
            registry=self.registry,
            runs=self.runs,
            fitting=self.fitting,
            params={"iterations": 1},
            libraries={},
            life=Life("trainer"),
            clock=lambda: TIME,
        )

    async def finish(self) -> None:
        """Step until nothing is left, each step by a new trainer."""
        while await self.cycle().step():
            pass

    def said(self, name: TopicName) -> list[str]:
        """The events of a topic, but for progress."""
        full = topic(DATASET.name, name)
        events: list[Event] = [decode(r) for r in self.log.read(full, 0, 0, 10_000)]
        return [e.type for e in events if e.type != "training.progress"]


async def test_the_first_training_is_promoted_step_by_step() -> None:
    """Registered, promoted, finished; the alias is set; each event once."""
    bench = Bench(50.0)
    bench.trainings.add(request(0, first=True), TIME)
    await bench.finish()
    assert bench.said("training") == ["training.started", "training.finished"]
    assert bench.said("models") == ["model.registered", "model.promoted"]
    champion = bench.registry.alias("champion")
    assert champion is not None
    assert (champion.number, champion.tags["seq"]) == (1, "1")


async def test_a_better_challenger_replaces_the_champion_a_worse_one_does_not() -> None:
    """The old one is kept as `previous`; the one that lost is `challenger`."""
    bench = Bench(50.0, 99.0, 101.0)
    for number in range(3):
        bench.trainings.add(request(number), TIME)
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


async def test_requests_that_wait_end_once_each() -> None:
    """Merged into the newest; one training, one version."""
    bench = Bench(50.0)
    for number in range(3):
        bench.trainings.add(request(number), TIME)
    await bench.finish()
    assert [line["state"] for line in bench.trainings.lines.values()] == ["merged", "merged", "finished"]
    assert sorted(bench.said("training")) == ["training.finished", *2 * ["training.merged"], "training.started"]
    assert bench.registry.version(2) is None


async def test_a_request_of_the_first_batch_is_skipped_with_its_reason() -> None:
    """When a champion serves."""
    bench = Bench(50.0)
    bench.trainings.add(request(0), TIME)
    await bench.finish()
    bench.trainings.add(request(0, 2, first=True), TIME)
    await bench.finish()
    assert bench.said("training")[-1] == "training.skipped"


@pytest.mark.parametrize("method", ["register", "tag", "set_alias", "version", "alias"])
async def test_a_registry_that_is_away_stops_no_training_for_good(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its calls: the step is done again, and there is still one version and one decision."""
    bench = Bench(50.0)
    bench.trainings.add(request(0), TIME)
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


async def test_a_training_that_fails_is_tried_again_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ATTEMPTS tries it is failed and dead-lettered; the next request is served."""
    monkeypatch.setattr(Life, "pause", _at_once)
    bench = Bench(*[RuntimeError("killed")] * ATTEMPTS, 50.0)
    bench.trainings.add(request(0), TIME)
    await bench.finish()
    assert bench.trainings.lines[request(0).request_id]["state"] == "failed"
    assert len(bench.fitting.challenged) == ATTEMPTS
    assert bench.said("training") == ["training.started", "training.failed"]
    assert bench.said("deadletter") == ["record.deadlettered"]
    bench.trainings.add(request(1), TIME)
    await bench.finish()
    assert bench.said("models")[-1] == "model.promoted"


async def test_requests_that_cannot_be_planned_for_go_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the registry answers: no attempt is counted, and what to wait for is said."""
    bench = Bench(50.0)
    bench.trainings.add(request(0), TIME)
    with monkeypatch.context() as patch:
        patch.setattr(bench.registry, "alias", _denied)
        with pytest.raises(Retry, match="planning: denied"):
            await bench.cycle().step()
    assert bench.trainings.lines[request(0).request_id]["state"] == "waiting"
    await bench.finish()
    assert bench.said("models")[-1] == "model.promoted"


async def test_nothing_to_learn_from_is_not_tried_again() -> None:
    """The same rows will not grow."""
    bench = Bench(Reject("nothing to learn from", "3 clean rows"))
    bench.trainings.add(request(0), TIME)
    await bench.finish()
    assert len(bench.fitting.challenged) == 1
    assert bench.trainings.lines[request(0).request_id]["failure"] == "nothing to learn from: 3 clean rows"


async def test_a_batch_that_does_not_match_its_manifest_is_not_trained_on() -> None:
    """The recipe holds the readable batches of the epoch up to the request's."""
    bench = Bench(50.0)
    publish_batch(bench.log, DATASET, 1, 3, api_rows(0, 30, 3), digest="wrong")
    publish_batch(bench.log, DATASET, 2, 0, api_rows(0, 30, 3))
    bench.trainings.add(request(3), TIME)
    await bench.finish()
    recipe = bench.trainings.lines[request(3).request_id]["recipe"]
    assert [(b["epoch"], b["number"]) for b in recipe["batches"]] == [(1, 0), (1, 1), (1, 2)]
    assert len(list(history(bench.log, DATASET.name))) == 10


async def test_a_request_without_a_readable_batch_fails() -> None:
    """And does not block those behind it."""
    bench = Bench()
    bench.trainings.add(request(0, epoch=9), TIME)
    await bench.finish()
    assert bench.said("training") == ["training.failed"]


def _denied(_alias: str) -> None:
    raise RuntimeError("denied")


async def _at_once(_life: Life, _seconds: float) -> bool:
    return True
