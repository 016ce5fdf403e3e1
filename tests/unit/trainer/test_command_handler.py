"""Commands of people to the trainer: what they change, and what they refuse."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.testbed import wait_until
from support.trainer import DATASET, ENDLESS, REFERENCE, Killed, TrainerHarness, request
from veleta.batches import read_events
from veleta.errors import Retry
from veleta.events.catalogue import Cancel, ModelPromoted, Promote, RetrainRequested, Rollback, TrainerCommand
from veleta.events.catalogue import Retrain as RetrainCommand

COMPARED = (
    "\nits training compared it with version 1:\n"
    "  mae: passed: MAE 50 against 100 of version 1 on the same 9 rows (-50.0%)"
)
PROMOTION_PLACES = ("commanded", "tagged", "previous", "promoted", "replied")
"""Where a trainer may be killed while it promotes by a command."""


def command(kind: type[TrainerCommand], **fields: Any) -> TrainerCommand:
    return kind(dataset=DATASET.name, actor="ana", **fields)


def promote(version: int, **fields: Any) -> TrainerCommand:
    return command(Promote, version=version, **fields)


async def with_versions(count: int, *more_maes: float) -> TrainerHarness:
    """A trainer with `count` versions, each of which became the champion."""
    harness = TrainerHarness(*[50.0] * count, *more_maes)
    for number in range(count):
        await harness.add_request(request(min(number, 2), epoch=1) if number < 3 else request(2))
        await harness.finish()
    return harness


def champion(harness: TrainerHarness) -> int:
    version = harness.registry.alias("champion")
    assert version is not None
    return version.number


def last_promotion(harness: TrainerHarness) -> ModelPromoted:
    payload = list(read_events(harness.log, DATASET.name, "models"))[-1].payload
    assert isinstance(payload, ModelPromoted)
    return payload


@pytest.mark.failure("F364")
async def test_a_promotion_by_command_is_a_decision_with_its_actor_and_reason() -> None:
    """A row, an event with a new number, the tags, and both aliases. The reply names both versions."""
    harness = await with_versions(2)
    reply = await harness.obey(promote(1, reason="it was better", expect=2))
    assert reply == "version 1 is the champion instead of version 2"
    row = harness.promotions[-1]
    assert (row.seq, row.version, row.previous, row.decision, row.actor) == (3, 1, 2, "promoted", "ana")
    assert (row.reason, row.cause) == ("instead of version 2: it was better", "real_estate/promote/1")
    event = last_promotion(harness)
    assert (event.seq, event.version, event.previous, event.actor, event.command) == (3, 1, 2, "ana", "promote")
    version = harness.registry.alias("champion")
    assert version is not None
    assert (version.number, version.tags["seq"]) == (1, "3")
    assert version.tags["decision"] == "promoted by ana: instead of version 2: it was better"
    previous = harness.registry.alias("previous")
    assert previous is not None
    assert previous.number == 2


@pytest.mark.failure("F364")
async def test_each_rollback_returns_to_the_champion_before() -> None:
    """After 1, 2, 3: to 2, then to 1, and then there is none. A wipe of the tables changes nothing."""
    harness = await with_versions(3)
    replies = [await harness.obey(command(Rollback)) for _ in range(3)]
    assert replies == [
        "version 2 is the champion instead of version 3",
        "version 1 is the champion instead of version 2",
        "refused: no version was the champion before version 1",
    ]
    assert [(row.version, row.decision) for row in harness.promotions[3:]] == [(2, "rolled back"), (1, "rolled back")]
    before = harness.promotions
    harness.wipe()
    await harness.finish()
    assert harness.promotions == before
    assert champion(harness) == 1


async def test_a_promotion_by_command_has_the_profile_of_its_version() -> None:
    """So has a rollback, also after a wipe of the tables. A version of an earlier release has none."""
    harness = TrainerHarness(50.0, 40.0)
    harness.registry.references["run-1"] = REFERENCE
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    first = REFERENCE.profile()
    for sent, profile in ((command(Rollback), first), (promote(2), None), (promote(1), first)):
        harness.registry.references.clear()
        harness.wipe()
        await harness.obey(sent)
        assert last_promotion(harness).profile == profile


@pytest.mark.failure("F364")
@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        (promote(1, expect=1), "version 2 is the champion, not version 1"),
        (promote(9), "there is no version 9"),
        (promote(1), "version 1 is not promoted: model: FAILED: it is damaged"),
        (
            promote(1, dry=True),
            "version 1 would not be promoted:\n  file: passed: fine\n  model: FAILED: it is damaged",
        ),
        (command(Rollback), "version 1 is not promoted: model: FAILED: it is damaged"),
        (command(Cancel), "no training is in progress"),
    ],
)
async def test_a_refused_command_changes_nothing(sent: TrainerCommand, refusal: str) -> None:
    """Its reply has the reason."""
    harness = await with_versions(2)
    harness.checker.faults[1] = "it is damaged"
    models, rows, trainings = harness.ids("models"), harness.promotions, harness.rows
    assert await harness.obey(sent) == f"refused: {refusal}"
    assert (harness.ids("models"), harness.promotions, harness.rows) == (models, rows, trainings)
    assert champion(harness) == 2


@pytest.mark.failure("F364")
@pytest.mark.parametrize(
    ("sent", "effect"),
    [
        (promote(2), "version 2 is already the champion"),
        (promote(1, dry=True), "version 1 would be promoted:\n  file: passed: fine\n  model: passed: it loads"),
        (
            promote(2, dry=True),
            "version 2 is already the champion:\n  file: passed: fine\n  model: passed: it loads" + COMPARED,
        ),
    ],
)
async def test_a_harmless_command_changes_nothing(sent: TrainerCommand, effect: str) -> None:
    """Its reply says so."""
    harness = await with_versions(2)
    rows, models = harness.promotions, harness.ids("models")
    assert await harness.obey(sent) == effect
    assert (harness.promotions, harness.ids("models")) == (rows, models)


async def test_a_person_may_promote_a_version_that_its_training_rejected() -> None:
    """The reply says that it was rejected, and why."""
    harness = TrainerHarness(50.0, 101.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    assert await harness.obey(promote(2)) == (
        "version 2 is the champion instead of version 1 "
        "(its training: rejected: not better: MAE 101 against 100 of version 1 on the same 9 rows (+1.0%))"
    )


@pytest.mark.failure("F404")
async def test_a_command_that_is_delivered_twice_has_one_effect_and_one_reply() -> None:
    """Its id is the cause of the decision, and the beginning of the id of the training request."""
    harness = await with_versions(2)
    await harness.new_trainer().take_over()
    for sent in (promote(1), command(RetrainCommand)):
        command_id = harness.send(sent)
        harness.send(sent, command_id)
        await harness.handle_commands()
        harness.send(sent, command_id)
        await harness.handle_commands()
        assert len(harness.replies(command_id)) == 1
    assert len(harness.promotions) == 3
    assert [name for name in harness.rows if "/retrain/" in name] == [f"{command_id}/requested"]


@pytest.mark.failure("F404")
@pytest.mark.parametrize("place", [*(f"trainer.{name}" for name in PROMOTION_PLACES), "outbox.published"])
@pytest.mark.parametrize("sent", [promote(1), command(Rollback)])
async def test_a_kill_during_a_promotion_by_command_leaves_one_decision(
    place: str, sent: TrainerCommand, kill_at: Callable[[str], list[str]]
) -> None:
    """The next trainer completes it: aliases, one event, one reply. The alias was not moved by hand."""
    harness = await with_versions(2)
    await harness.new_trainer().take_over()
    command_id = harness.send(sent)
    killed = kill_at(place)
    with pytest.raises(Killed):
        await harness.handle_commands()
    assert killed == [place]
    trainer = harness.new_trainer()
    await trainer.take_over()
    await trainer.advance()
    await harness.handle_commands()
    assert set(harness.replies(command_id)) == {"version 1 is the champion instead of version 2"}
    assert [(row.version, row.cause) for row in harness.promotions[2:]] == [(1, command_id)]
    aliases = [harness.registry.alias(name) for name in ("champion", "previous")]
    assert [version.number for version in aliases if version] == [1, 2]
    assert harness.ids("models")[-1] == f"{command_id}/promoted"
    await harness.finish()
    assert len(harness.promotions) == 3


@pytest.mark.failure("F404")
@pytest.mark.parametrize("place", ["trainer.replied", "outbox.published"])
async def test_a_kill_after_a_retrain_command_leaves_one_request(
    place: str, kill_at: Callable[[str], list[str]]
) -> None:
    """The request and the reply are stored together."""
    harness = await with_versions(1, 40.0)
    await harness.new_trainer().take_over()
    command_id = harness.send(command(RetrainCommand))
    kill_at(place)
    with pytest.raises(Killed):
        await harness.handle_commands()
    await harness.new_trainer().take_over()
    await harness.handle_commands()
    assert set(harness.replies(command_id)) == {"a training is requested for batch 1/2"}
    await harness.finish()
    assert [row.version for row in harness.promotions] == [1, 2]


@pytest.mark.failure("F404")
async def test_a_promotion_is_completed_when_the_registry_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is stored, and the command waits for its reply."""
    harness = await with_versions(2)
    await harness.new_trainer().take_over()
    command_id = harness.send(promote(1))
    with monkeypatch.context() as patch:
        patch.setattr(harness.registry, "set_alias", _unreachable)
        with pytest.raises(Retry):
            await harness.handle_commands()
    await harness.handle_commands()
    assert len(harness.replies(command_id)) == 1
    assert (champion(harness), len(harness.promotions)) == (1, 3)


@pytest.mark.failure("F404")
async def test_a_command_sent_while_the_trainer_was_down_is_refused() -> None:
    """It may be old. Only one that another trainer had begun is completed."""
    harness = await with_versions(2)
    command_id = harness.send(promote(1))
    await harness.new_trainer().take_over()
    await harness.handle_commands()
    assert harness.replies(command_id) == ["refused: it was sent while the trainer was down"]
    assert champion(harness) == 2


@pytest.mark.failure("F404")
async def test_a_trainer_that_stands_by_does_not_reply() -> None:
    """The one that holds the lease does."""
    harness = await with_versions(2)
    await harness.new_trainer().take_over()
    harness.give_lease_to_another()
    command_id = harness.send(promote(1))
    with pytest.raises(Retry, match="another trainer holds it"):
        await harness.handle_commands()
    assert harness.replies(command_id) == []


async def test_an_unexpected_error_is_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next command is handled."""
    harness = await with_versions(2)
    with monkeypatch.context() as patch:
        patch.setattr(harness.checker, "check", _unexpected)
        assert await harness.obey(promote(1)) == "refused: it failed: a fault"
    assert await harness.obey(promote(1)) == "version 1 is the champion instead of version 2"


@pytest.mark.failure("F396")
async def test_a_retrain_command_is_a_training_request() -> None:
    """For the newest closed batch, with the person and the reason. It is merged with those that wait."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    reply = await harness.obey(command(RetrainCommand, reason="new columns"))
    assert reply == "a training is requested for batch 1/2; other waiting requests: 1 (one training is for all of them)"
    event = list(read_events(harness.log, DATASET.name, "retrain"))[-1]
    assert isinstance(event.payload, RetrainRequested)
    assert (event.payload.number, event.payload.reason) == (2, "by ana: new columns")
    await harness.finish()
    assert {name: row["state"] for name, row in harness.rows.items()} == {
        request(0).request_id: "merged",
        event.id: "finished",
    }


@pytest.mark.failure("F396")
async def test_nothing_is_trained_before_a_batch_is_closed() -> None:
    """The reply says so."""
    harness = TrainerHarness()
    harness.log.topics.pop("real_estate.batches")
    assert (
        await harness.obey(command(RetrainCommand))
        == "refused: no batch is closed yet, so there is nothing to train on"
    )
    assert not harness.rows


async def _begin_fit(harness: TrainerHarness) -> asyncio.Task[bool]:
    """Begin a training whose fit does not end."""
    trainer = harness.new_trainer()
    await trainer.take_over()
    await trainer.advance()
    fitting = asyncio.create_task(trainer.advance())
    await asyncio.to_thread(wait_until, lambda: harness.ids("training")[1:])
    return fitting


@pytest.mark.failure("F396")
async def test_cancel_ends_the_fit() -> None:
    """The training has failed with the person and the reason. There is no dead letter, and the next one is trained."""
    harness = TrainerHarness(ENDLESS, 50.0)
    await harness.add_request(request(0))
    fitting = await _begin_fit(harness)
    assert harness.runs.prepared
    command_id = harness.send(command(Cancel, reason="too slow"))
    await harness.handle_commands()
    assert await asyncio.wait_for(fitting, 1)
    assert not harness.runs.prepared
    assert harness.replies(command_id) == ["the training for batch 1/0 is cancelled"]
    assert harness.row(request(0))["failure"] == "cancelled by ana: too slow"
    assert harness.types("training") == ["training.started", "training.failed"]
    assert harness.types("deadletter") == []
    await harness.add_request(request(1))
    await harness.finish()
    assert harness.row(request(1))["state"] == "finished"


@pytest.mark.failure("F396")
async def test_cancel_ends_the_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that logs the models is ended first. Nothing is registered."""
    harness, stopped = TrainerHarness(50.0), threading.Event()
    logging = threading.Event()

    def log(*_arguments: object) -> None:
        logging.set()
        assert stopped.wait(10)
        raise RuntimeError("the models cannot be logged")

    monkeypatch.setattr(harness.runs, "log", log)
    monkeypatch.setattr(harness.runs, "stop_logging", stopped.set)
    await harness.add_request(request(0))
    fitting = await _begin_fit(harness)
    await asyncio.to_thread(logging.wait, 10)
    command_id = harness.send(command(Cancel))
    await harness.handle_commands()
    assert await asyncio.wait_for(fitting, 1)
    assert harness.replies(command_id) == ["the training for batch 1/0 is cancelled"]
    assert harness.row(request(0))["failure"] == "cancelled by ana"
    assert harness.types("models") == []


@pytest.mark.failure("F404")
async def test_a_kill_during_a_cancellation_repeats_the_training(kill_at: Callable[[str], list[str]]) -> None:
    """The command is refused then, because it is from before the start."""
    harness = TrainerHarness(ENDLESS, 50.0)
    await harness.add_request(request(0))
    fitting = await _begin_fit(harness)
    command_id = harness.send(command(Cancel))
    kill_at("trainer.interrupted")
    with pytest.raises(Killed):
        await harness.handle_commands()
    await fitting
    await harness.finish()
    await harness.handle_commands()
    assert harness.replies(command_id) == ["refused: it was sent while the trainer was down"]
    assert harness.row(request(0))["state"] == "finished"
    assert len(harness.promotions) == 1


@pytest.mark.failure("F396")
async def test_a_training_with_a_version_cannot_be_cancelled() -> None:
    """It is too late."""
    harness = TrainerHarness(50.0)
    await harness.add_request(request(0))
    trainer = harness.new_trainer()
    await trainer.take_over()
    for _ in ("planned", "fitted", "registered"):
        await trainer.advance()
    command_id = harness.send(command(Cancel))
    await harness.handle_commands()
    assert harness.replies(command_id) == ["refused: the training for batch 1/0 has already registered version 1"]
    await harness.finish()
    assert harness.row(request(0))["state"] == "finished"


@pytest.mark.failure("F364")
async def test_a_promotion_during_a_fit_ends_the_comparison() -> None:
    """It does not wait for the fit. The version that was compared with another champion is rejected."""
    harness = await with_versions(2, ENDLESS, 10.0)
    await harness.add_request(request(2))
    fitting = await _begin_fit(harness)
    command_id = harness.send(command(Rollback))
    await harness.handle_commands()
    assert harness.replies(command_id) == ["version 1 is the champion instead of version 2"]
    fitting.cancel()
    await asyncio.wait({fitting})
    await harness.finish()
    assert [(row.version, row.decision) for row in harness.promotions[2:]] == [(1, "rolled back"), (3, "rejected")]
    assert harness.promotions[-1].reason == "it was compared with version 2, but version 1 is the champion now"


@pytest.mark.failure("F364")
async def test_a_promotion_that_a_training_has_decided_comes_first() -> None:
    """Two promotions never move the aliases at the same time."""
    harness = await with_versions(1, 40.0)
    await harness.add_request(request(1))
    trainer = harness.new_trainer()
    await trainer.take_over()
    for _ in ("planned", "fitted", "registered", "decided"):
        await trainer.advance()
    command_id = harness.send(command(Rollback))
    with pytest.raises(Retry, match="completes its decision first"):
        await harness.handle_commands()
    assert harness.replies(command_id) == []
    while await trainer.advance():
        pass
    await harness.handle_commands()
    assert harness.replies(command_id) == ["version 1 is the champion instead of version 2"]
    assert [row.decision for row in harness.promotions] == ["promoted", "promoted", "rolled back"]


def _unreachable(*_arguments: object) -> None:
    raise Retry("mlflow", "unreachable")


async def _unexpected(*_arguments: object) -> None:
    raise RuntimeError("a fault")
