"""The training workflow, and how it continues after a kill at any fault point."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from support.batches import publish_batch
from support.listings import api_rows
from support.trainer import DATASET, FAULT_POINTS, REFERENCE, FakeFitter, Killed, TrainerHarness, request
from veleta.batches import ROWS_DELETED, read_events
from veleta.errors import Reject, Retry
from veleta.events.catalogue import ModelPromoted, ModelRegistered, TrainingProgress
from veleta.ports import Version
from veleta.service.health import ServiceHealth
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import (
    EVALUATING,
    FITTING,
    FITTING_ON_CLUSTER,
    WAITING_FOR_CORES,
    FittedModel,
    ProgressCallback,
)
from veleta_trainer.training_workflow import MAX_ATTEMPTS, MAX_FITS, left_out_warning

LEFT_OUT = (
    "the last training could not read 1 of its batches, such as real_estate/1/3: "
    "the manifest does not match: the rows have another digest"
)


@pytest.mark.failure("F109")
async def test_the_first_version_is_promoted() -> None:
    """Registered, promoted, finished: each event once, and the alias is set."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0, first=True))
    await harness.finish()
    assert harness.types("training") == ["training.started", "training.finished"]
    assert harness.types("models") == ["model.registered", "model.promoted"]
    champion = harness.registry.alias("champion")
    assert champion is not None
    assert (champion.number, champion.tags["seq"]) == (1, "1")


async def test_the_events_of_a_version_have_its_profile(kill_at: Callable[[str], list[str]]) -> None:
    """Also if the run lost its artifacts, and the tables were wiped, between the two events."""
    harness = TrainerHarness(50.0)
    harness.registry.references["run-1"] = REFERENCE
    await harness.add_request(request(0, first=True))
    kill_at("trainer.decided")
    with pytest.raises(Killed):
        await harness.finish()
    harness.registry.references.clear()
    harness.wipe()
    await harness.finish()
    registered, promoted = (event.payload for event in read_events(harness.log, DATASET.name, "models"))
    assert isinstance(registered, ModelRegistered)
    assert isinstance(promoted, ModelPromoted)
    assert registered.profile == promoted.profile == REFERENCE.profile()


async def test_a_version_without_a_reference_is_promoted() -> None:
    """Its events have no profile, and the log says so."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0, first=True))
    with capture_logs() as logs:
        await harness.finish()
    registered, promoted = (event.payload for event in read_events(harness.log, DATASET.name, "models"))
    assert isinstance(registered, ModelRegistered)
    assert isinstance(promoted, ModelPromoted)
    assert registered.profile is promoted.profile is None
    (line,) = [line for line in logs if line["event"] == "the run has no reference that can be read"]
    assert (line["version"], line["run_id"]) == (1, "run-1")


@pytest.mark.failure("F46")
async def test_only_a_better_challenger_replaces_the_champion() -> None:
    """The former champion gets the alias `previous`, the version that lost `challenger`."""
    harness = TrainerHarness(50.0, 99.0, 101.0)
    for number in range(3):
        await harness.add_request(request(number))
        await harness.finish()
    aliases = {name: harness.registry.alias(name) for name in ("champion", "previous", "challenger")}
    assert {name: version.number for name, version in aliases.items() if version} == {
        "champion": 2,
        "previous": 1,
        "challenger": 3,
    }
    assert harness.fitter.champions == [None, 1, 2]
    assert [row.decision for row in harness.promotions] == ["promoted", "promoted", "rejected"]
    assert harness.types("models")[-1] == "model.rejected"
    assert " Decision 3: rejected: " in harness.registry.descriptions[3]


@pytest.mark.failure("F42")
@pytest.mark.parametrize(
    ("port", "method"),
    [
        *(("registry", method) for method in ("register", "describe", "set_tag", "set_alias", "version", "alias")),
        ("registry", "reference"),
        *(("runs", method) for method in ("log", "get", "figures", "find", "end_open")),
    ],
)
async def test_an_unreachable_registry_only_delays_a_training(
    port: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its calls: the step is repeated, and there is one run, one version and one decision.

    The error names MLflow, also while the training is planned.
    """
    harness = TrainerHarness(*[50.0] * 2)
    await harness.add_request(request(0))
    real = getattr(getattr(harness, port), method)
    failures = [Retry("mlflow", "unreachable")]

    def fail_once(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args)

    monkeypatch.setattr(getattr(harness, port), method, fail_once)
    with pytest.raises(Retry, match=r"^mlflow: unreachable$"):
        await harness.finish()
    assert not failures
    await harness.finish()
    assert harness.types("models") == ["model.registered", "model.promoted"]
    assert harness.types("training") == ["training.started", "training.finished"]
    assert len(harness.runs.logged) == 1
    assert len(harness.promotions) == 1
    assert harness.row(request(0)).get("attempts") == 0
    assert harness.registry.version(2) is None


@pytest.mark.failure("F107")
async def test_batches_that_a_training_could_not_read_are_a_warning() -> None:
    """On /readyz, until a training can read all of its batches again."""
    harness = TrainerHarness(50.0, 40.0)
    publish_batch(harness.log, DATASET, 1, 3, api_rows(0, 30, 3), digest="wrong")
    publish_batch(harness.log, DATASET, 2, 3, api_rows(0, 30, 3))
    trainer = harness.new_trainer()
    await trainer.take_over()
    for training, warning in ((request(3), {"batches": LEFT_OUT}), (request(3, 2), {})):
        await harness.add_request(training)
        while await trainer.advance():
            pass
        assert harness.health.warnings == warning


def test_rows_that_retention_deleted_are_no_warning() -> None:
    """Somebody limited what is kept."""
    assert left_out_warning({"d/1/0": f"{ROWS_DELETED}: d/1/0"}) == ""


@pytest.mark.failure("F116")
async def test_a_training_fails_after_its_last_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request becomes a dead letter, and the next request is trained."""
    monkeypatch.setattr(ServiceHealth, "sleep", _no_sleep)
    harness = TrainerHarness(*[RuntimeError("killed")] * MAX_ATTEMPTS, 50.0)
    await harness.add_request(request(0))
    await harness.finish()
    assert harness.row(request(0))["state"] == "failed"
    assert len(harness.fitter.champions) == MAX_ATTEMPTS
    assert harness.types("training") == ["training.started", "training.failed"]
    assert harness.types("deadletter") == ["record.deadlettered"]
    await harness.add_request(request(1))
    await harness.finish()
    assert harness.types("models")[-1] == "model.promoted"


@pytest.mark.failure("F293")
async def test_attempts_are_counted_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failures of each of two steps do not end a training."""
    monkeypatch.setattr(ServiceHealth, "sleep", _no_sleep)
    harness = TrainerHarness(*[RuntimeError("killed")] * (MAX_ATTEMPTS - 1), 50.0)
    _raise_first(monkeypatch, harness.registry, "register", *[RuntimeError("refused")] * (MAX_ATTEMPTS - 1))
    await harness.add_request(request(0))
    await harness.finish()
    assert harness.row(request(0))["state"] == "finished"


@pytest.mark.failure("F293")
async def test_a_registry_that_reads_but_cannot_store_causes_no_second_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fitted model is logged when MLflow can store it: one fit, one run, no attempt counted."""
    harness = TrainerHarness(50.0)
    _raise_first(monkeypatch, harness.runs, "log", *[Retry("mlflow", "the disk is full")] * 20)
    await harness.add_request(request(0))
    for _ in range(20):
        with pytest.raises(Retry, match="the disk is full"):
            await harness.finish()
    assert harness.row(request(0)).get("attempts") == 0
    await harness.finish()
    assert harness.fitter.champions == [None]
    assert len(harness.runs.logged) == 1
    assert harness.types("training") == ["training.started", "training.finished"]


@pytest.mark.parametrize("failure", [None, Retry("kafka", "down"), RuntimeError("killed"), Reject("too few rows")])
async def test_the_process_that_logs_is_prepared_during_the_evaluation(
    failure: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left, whatever the evaluation ends with."""
    monkeypatch.setattr(ServiceHealth, "sleep", _no_sleep)
    harness = TrainerHarness(failure or 50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    await trainer.take_over()
    assert await trainer.advance()
    assert harness.runs.preparations == 0
    with suppress(Retry):
        await trainer.advance()
    assert harness.runs.preparations == 1
    assert not harness.runs.prepared


@pytest.mark.failure("F293")
async def test_a_model_that_cannot_be_logged_is_fitted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file may be damaged. After the last attempt the training fails."""
    monkeypatch.setattr(ServiceHealth, "sleep", _no_sleep)
    harness = TrainerHarness(*[50.0] * MAX_ATTEMPTS)
    _raise_first(monkeypatch, harness.runs, "log", *[ValueError("damaged")] * MAX_ATTEMPTS)
    await harness.add_request(request(0))
    await harness.finish()
    assert len(harness.fitter.champions) == MAX_ATTEMPTS
    assert harness.row(request(0))["failure"] == "damaged"


@pytest.mark.failure("F293")
async def test_fits_that_end_with_the_trainer_are_bounded() -> None:
    """Each kills the trainer, for example because the memory is full."""
    harness = TrainerHarness(*[Killed()] * (MAX_FITS + 1))
    await harness.add_request(request(0))
    for _ in range(MAX_FITS):
        with pytest.raises(Killed):
            await harness.finish()
    await harness.finish()
    assert (
        harness.row(request(0))["failure"] == f"no fit was completed: the trainer ended during each of {MAX_FITS} fits"
    )
    assert len(harness.fitter.champions) == MAX_FITS


@pytest.mark.failure("F296")
async def test_a_run_of_another_deployment_is_not_used() -> None:
    """It has the same request id, because the ids of two topics are alike, but other rows."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    planned = harness.new_trainer()
    assert await planned.advance()
    own = Recipe.model_validate(harness.row(request(0))["recipe"])
    other = own.model_copy(update={"batches": [own.batches[0].model_copy(update={"digest": "other"})]})
    harness.runs.log(other, FittedModel(Path(), {"mae": 7.0}, other))
    await harness.finish()
    assert harness.row(request(0))["run_id"] == "run-2"
    assert harness.runs.recipes == [other, own]


@pytest.mark.failure("F45")
async def test_too_few_rows_fail_at_the_first_attempt() -> None:
    """Another attempt would read the same rows."""
    harness = TrainerHarness(Reject("the recipe cannot be trained", "3 clean training rows"))
    await harness.add_request(request(0))
    await harness.finish()
    assert len(harness.fitter.champions) == 1
    assert harness.row(request(0))["failure"] == "the recipe cannot be trained: 3 clean training rows"


def _raise_first(patch: pytest.MonkeyPatch, port: object, method: str, *errors: Exception) -> None:
    """A method raises these errors first."""
    real, left = getattr(port, method), list(errors)

    def call(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments)

    patch.setattr(port, method, call)


async def _no_sleep(_health: ServiceHealth, _seconds: float) -> bool:
    return True


@pytest.mark.failure("F14")
@pytest.mark.parametrize("place", FAULT_POINTS)
async def test_a_kill_at_any_fault_point_ends_in_one_version(place: str, kill_at: Callable[[str], list[str]]) -> None:
    """The next trainer continues: one run, version, decision, description, both aliases, each event under one id."""
    harness = TrainerHarness(50.0, *[40.0] * 2)
    await harness.add_request(request(0))
    await harness.finish()
    await harness.add_request(request(1))
    killed = kill_at(place)
    with pytest.raises(Killed):
        await harness.finish()
    assert killed == [place]
    await harness.finish()
    assert harness.runs.requests == [request(0).request_id, request(1).request_id]
    assert len(harness.fitter.champions) == 2
    assert harness.registry.version(3) is None
    assert [row.decision for row in harness.promotions] == ["promoted", "promoted"]
    assert harness.registry.descriptions[2].endswith(" It replaced version 1.")
    assert [harness.registry.alias(name) for name in ("champion", "previous")] == [
        harness.registry.version(2),
        harness.registry.version(1),
    ]
    assert harness.ids("models") == [
        f"{request(n).request_id}/{name}" for n in (0, 1) for name in ("registered", "promoted")
    ]


@pytest.mark.failure("F118")
async def test_a_version_does_not_replace_a_champion_that_it_was_not_compared_with(
    kill_at: Callable[[str], list[str]],
) -> None:
    """The champion alias was moved by hand during the training. The reason names both versions."""
    harness = TrainerHarness(50.0, 101.0, 10.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    await harness.add_request(request(2))
    kill_at("trainer.registered")
    with pytest.raises(Killed):
        await harness.finish()
    harness.registry.set_alias("champion", 2)
    await harness.finish()
    assert [(row.version, row.decision) for row in harness.promotions] == [
        (1, "promoted"), (2, "rejected"), (3, "rejected"), (2, "outside"),
    ]  # fmt: skip
    assert harness.promotions[2].reason == "it was compared with version 1, but version 2 is the champion now"


@pytest.mark.failure("F145")
@pytest.mark.parametrize(("mae", "outcome"), [(1000.0, "rejected"), (40.0, "promoted")])
async def test_a_champion_deleted_during_a_training_is_compared(
    kill_at: Callable[[str], list[str]], mae: float, outcome: str
) -> None:
    """Its run still has the model, so only a better version replaces it. The deletion is recorded before that."""
    harness = TrainerHarness(50.0, mae)
    await harness.add_request(request(0))
    await harness.finish()
    await harness.add_request(request(1))
    kill_at("trainer.planned")
    with pytest.raises(Killed):
        await harness.finish()
    harness.registry.delete(1)
    await harness.finish()
    assert harness.fitter.champions == [None, 1]
    assert [(row.version, row.decision) for row in harness.promotions] == [
        (1, "promoted"), (1, "deleted"), (2, outcome),
    ]  # fmt: skip
    assert harness.promotions[-1].previous == 1


@pytest.mark.failure("F145")
async def test_the_next_versions_are_never_the_first_one() -> None:
    """Deleting a version deletes its alias. Each next one is compared with the served one, and the better one wins."""
    harness = TrainerHarness(50.0, 1000.0, 1000.0, 40.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.registry.delete(1)
    for number in range(3):
        await harness.add_request(replace(request(number), request_id=f"again/{number}"))
        await harness.finish()
    assert harness.fitter.champions == [None, 1, 1, 1]
    decided = [(row.version, row.decision) for row in harness.promotions]
    assert decided == [(1, "promoted"), (1, "deleted"), (2, "rejected"), (3, "rejected"), (4, "promoted")]
    assert "version 1" in harness.promotions[-1].reason


@pytest.mark.failure("F145")
async def test_a_deleted_champion_without_a_file_is_replaced() -> None:
    """It cannot be evaluated, so the next version is promoted even if it is worse. The reason names the champion."""
    harness = TrainerHarness(50.0, 1000.0)
    await harness.add_request(request(0))
    await harness.finish()
    harness.registry.delete(1)
    harness.runs.delete("run-1")
    await harness.add_request(request(1))
    await harness.finish()
    last = harness.promotions[-1]
    assert (last.version, last.previous, last.decision) == (2, 1, "promoted")
    assert last.reason.startswith("version 1 cannot be evaluated: ")


class WaitingFitter(FakeFitter):
    """Waits for a core of the cluster while it fits."""

    def __init__(self, harness: TrainerHarness) -> None:
        super().__init__(harness.log, 50.0)
        self._harness = harness
        self.warnings: list[dict[str, str]] = []

    async def fit(self, recipe: Recipe, champion: Version | None, progress: ProgressCallback) -> FittedModel:
        for phase in (FITTING_ON_CLUSTER, WAITING_FOR_CORES, WAITING_FOR_CORES, FITTING_ON_CLUSTER):
            await progress(phase, 0, 1, None)
            self.warnings.append(self._harness.health.warnings)
        return await super().fit(recipe, champion, progress)


@pytest.mark.failure("F497")
async def test_a_training_that_waits_for_a_core_says_so() -> None:
    """On /readyz until it goes on, and in its events: once, also if the process shows again that it is alive."""
    harness = TrainerHarness()
    harness.fitter = fitter = WaitingFitter(harness)
    await harness.add_request(request(0, first=True))
    await harness.finish()
    waits = {"spark": "other applications have all cores of the cluster: the training waits"}
    assert fitter.warnings == [{}, waits, waits, {}]
    progress = [event.payload for event in read_events(harness.log, DATASET.name, "training")]
    phases = [each.phase for each in progress if isinstance(each, TrainingProgress)]
    assert phases == [FITTING_ON_CLUSTER, WAITING_FOR_CORES, FITTING_ON_CLUSTER, FITTING, EVALUATING]
    assert harness.types("training")[-1] == "training.finished"
