"""The trainer's tables, computed from its events."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from support.trainer import REFERENCE, recipe, request
from veleta.events import catalogue
from veleta.events.catalogue import Causes, Payload
from veleta.events.envelope import Event
from veleta_trainer.domain import events, manual_promotion
from veleta_trainer.domain.replay import MAX_SEQ_STEP, ReplayedState, request_id, request_of
from veleta_trainer.domain.training import PromotionRow, State, progress

AT = datetime(2026, 1, 2, tzinfo=UTC)
REQUEST = request(4)
NAME = REQUEST.request_id
RECIPE = recipe(request_id=NAME).model_dump(mode="json")
RESULT: dict[str, Any] = {"run_id": "r", "version": 3, "metrics": {"mae": 5.0}}
REQUESTED = events.requested(REQUEST, "d")
STARTED = catalogue.TrainingStarted(request_id=NAME, recipe=RECIPE)
REGISTERED = catalogue.ModelRegistered(model="d", recipe=RECIPE, native="models:/n", **RESULT)
FINISHED = catalogue.TrainingFinished(request_id=NAME, decision="promoted", **RESULT)
CAUSES = Causes(training=f"{NAME}/started", request=NAME, report=None, reason="drift", batches=[])
DECIDED: dict[str, Any] = {"model": "d", "seq": 2, "reason": "better", "causes": CAUSES, **RESULT}
PROMOTED = catalogue.ModelPromoted(previous=1, native="models:/n", **DECIDED)
REJECTED = catalogue.ModelRejected(champion=1, **DECIDED)


def event(payload: Payload, name: str = "e") -> Event:
    """An event of the trainer. A request has its own id, cause and trace."""
    if isinstance(payload, catalogue.RetrainRequested):
        return Event(NAME, "drift", AT, payload, cause=REQUEST.cause, trace="t")
    return Event(name, "trainer", AT, payload)


def state_after(*payloads: Payload, before: State | None = None) -> ReplayedState:
    state = ReplayedState.of({NAME: before} if before else {}, None)
    for payload in payloads:
        state.apply(event(payload))
    return state


def row_after(*payloads: Payload, before: State | None = None) -> dict[str, Any]:
    return dict(state_after(*payloads, before=before).trainings[NAME])


def test_a_request_becomes_a_waiting_training() -> None:
    """With the whole request, its cause and its trace, and the time of the event."""
    row = row_after(REQUESTED)
    assert (row["request_id"], row["state"], row["requested_at"]) == (NAME, "waiting", AT)
    assert (row["cause"]["cause"], row["cause"]["trace"], row["cause"]["batches"]) == (
        REQUEST.cause,
        "t",
        REQUEST.batches,
    )


def test_the_request_of_an_event_is_the_one_that_was_sent() -> None:
    """What drift publishes is what the trainer reads."""
    read = request_of(event(REQUESTED), REQUESTED)
    assert read == replace(REQUEST, trace="t")


@pytest.mark.parametrize(
    ("payload", "columns"),
    [
        (STARTED, {"state": "planned", "recipe": RECIPE, "started_at": AT}),
        (FINISHED, {"state": "finished", **RESULT, "ended_at": AT}),
        (
            catalogue.TrainingMerged(request_id=NAME, into="other"),
            {"state": "merged", "merged_into": "other", "ended_at": AT},
        ),
        (catalogue.TrainingSkipped(request_id=NAME, reason="x"), {"state": "skipped", "ended_at": AT}),
        (
            catalogue.TrainingFailed(request_id=NAME, reason="no rows"),
            {"state": "failed", "failure": "no rows", "ended_at": AT},
        ),
        (REGISTERED, {"state": "registered", "recipe": RECIPE, **RESULT}),
        (PROMOTED, {"state": "decided"}),
        (REJECTED, {"state": "decided"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_event_of_a_training_updates_its_row(payload: Payload, columns: dict[str, Any]) -> None:
    """And nothing else of it."""
    assert row_after(REQUESTED, payload) == row_after(REQUESTED) | columns


def test_the_recipe_of_a_registered_version_counts() -> None:
    """That of the start may have batches that could not be read."""
    other = {**RECIPE, "unreadable": {"d/1/0": "deleted"}}
    registered = REGISTERED.model_copy(update={"recipe": other})
    assert row_after(REQUESTED, STARTED, registered)["recipe"] == other
    assert row_after(REQUESTED, FINISHED, registered)["recipe"] == other


def test_what_was_measured_of_a_version_is_restored() -> None:
    """The last event counts: a registry that was recreated has a version 3 again."""
    measures = [catalogue.Measures(model="challenger", slice="all rows", rows=9, metrics={"mae": 5.0})]
    again = REGISTERED.model_copy(update={"measures": measures})
    assert state_after(REQUESTED, REGISTERED, again).evaluations == {3: measures}
    assert state_after(REQUESTED, again, REGISTERED).evaluations == {3: []}


def test_the_profile_of_a_registered_version_is_restored() -> None:
    """Whatever the state of the row. A version of an earlier release has none."""
    profile = REFERENCE.profile()
    registered = REGISTERED.model_copy(update={"profile": profile})
    for states in ((STARTED, registered), (FINISHED, registered)):
        assert row_after(REQUESTED, *states)["profile"] == profile.model_dump(mode="json")
    assert row_after(registered, before="finished")["profile"] == profile.model_dump(mode="json")
    assert "profile" not in row_after(REQUESTED, REGISTERED)


@pytest.mark.parametrize("payload", [REQUESTED, STARTED, REGISTERED, PROMOTED])
def test_the_state_of_a_training_never_goes_back(payload: Payload) -> None:
    """An event may be applied twice, and the topics are read one after the other."""
    row = row_after(payload, before="finished")
    assert row["state"] == "finished"
    assert "started_at" not in row
    assert row_after(payload, before="aliased")["state"] == "aliased"


def test_an_event_that_is_applied_twice_changes_nothing() -> None:
    """A portion that was applied before a kill is applied again."""
    for payload in (STARTED, REGISTERED, PROMOTED, FINISHED):
        assert state_after(REQUESTED, payload, payload) == state_after(REQUESTED, payload)
    assert progress("failed") == progress("finished")


def test_an_event_of_the_state_that_a_training_has_is_applied() -> None:
    """Only the states of stored rows are known, so its columns are written again."""
    assert row_after(STARTED, before="planned")["recipe"] == RECIPE
    assert row_after(FINISHED, before="failed")["version"] == 3


@pytest.mark.parametrize("payload", [STARTED, FINISHED, REGISTERED, PROMOTED])
def test_an_event_about_an_unknown_training_adds_no_row(payload: Payload) -> None:
    """Its request was deleted from the topic, or never existed."""
    assert state_after(payload).trainings == {}


@pytest.mark.parametrize(
    ("payload", "decision"), [(PROMOTED, "promoted"), (REJECTED, "rejected")], ids=["promoted", "rejected"]
)
def test_a_decision_is_restored_under_its_number(payload: Payload, decision: Any) -> None:
    """With who decided, why, when, for which request and instead of which version."""
    expected = PromotionRow(3, 1, decision, "better", "trainer", NAME, AT, seq=2)
    assert state_after(payload).promotions == {2: expected}


def test_a_rejected_version_without_a_champion_has_no_predecessor() -> None:
    """The event writes the missing champion as 0."""
    state = state_after(REJECTED.model_copy(update={"champion": 0}))
    assert state.promotions[2].previous is None


def test_a_promotion_by_hand_is_restored_as_one() -> None:
    """Its event has its own id. Its training was decided long before."""
    state = ReplayedState.of({NAME: "registered"}, None)
    state.apply(event(PROMOTED, manual_promotion.event_id("d", 2)))
    assert state.promotions == {2: PromotionRow(3, 1, "outside", "better", "outside", None, AT, seq=2)}
    assert state.trainings[NAME]["state"] == "registered"


def test_the_stored_rows_are_known_by_their_states() -> None:
    """So only what an event changes is written."""
    assert ReplayedState.of({NAME: "planned"}, None).trainings == {NAME: {"request_id": NAME, "state": "planned"}}


@pytest.mark.parametrize(
    "payload",
    [REQUESTED, STARTED, catalogue.TrainingSkipped(request_id=NAME, reason="x"), REGISTERED, PROMOTED, REJECTED],
    ids=lambda value: type(value).__name__,
)
def test_each_event_is_about_one_request(payload: Payload) -> None:
    """A request's own event has its id."""
    assert request_id(event(payload)) == NAME


@pytest.mark.failure("F359")
def test_a_sequence_number_may_only_step() -> None:
    """Decisions without an event leave gaps, but small ones. The first may have any number."""
    state = ReplayedState.of({}, None)
    for seq in (7, 9, 9 + MAX_SEQ_STEP):
        state.apply(event(PROMOTED.model_copy(update={"seq": seq})))
    with pytest.raises(ValueError, match="the sequence number 2010 does not follow 1009"):
        state.apply(event(PROMOTED.model_copy(update={"seq": 2_010})))
    with pytest.raises(ValueError, match="does not follow 3"):
        ReplayedState.of({}, 3).apply(event(PROMOTED.model_copy(update={"seq": 2_000_000_000})))


@pytest.mark.failure("F359")
@pytest.mark.parametrize("payload", [STARTED, REGISTERED])
def test_a_recipe_that_is_none_is_refused(payload: Payload) -> None:
    """The trainer reads the recipe of a training in progress at each step."""
    with pytest.raises(ValueError, match="Recipe"):
        state_after(REQUESTED, payload.model_copy(update={"recipe": {"request_id": NAME}}))
