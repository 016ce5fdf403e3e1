"""What a change by hand in MLflow becomes: a decision like the trainer's own."""

from datetime import UTC, datetime

from support.batches import TIME
from support.trainer import REFERENCE, recipe, request
from veleta.events.catalogue import Causes, ModelPromoted
from veleta.ports import Version
from veleta_trainer.domain import manual_promotion
from veleta_trainer.domain.training import PromotionRow, Training

LATER = datetime(2026, 1, 3, tzinfo=UTC)
LAST = PromotionRow(4, 3, "promoted", "it was better", "trainer", "d/1/0/retrain", TIME, seq=9)


def version(**tags: str) -> Version:
    return Version(number=7, run_id="r7", tags=tags)


def test_a_moved_alias_is_a_decision() -> None:
    """It names both versions and who decided: nobody of this system. No request caused it."""
    assert manual_promotion.promotion(version(), LAST, LATER) == PromotionRow(
        version=7,
        previous=4,
        decision="outside",
        reason="the alias was moved by hand in MLflow: version 7 instead of version 4",
        actor="outside",
        cause=None,
        decided_at=LATER,
    )


def test_a_first_champion_that_is_chosen_by_hand_has_no_predecessor() -> None:
    """Nobody decided before."""
    row = manual_promotion.promotion(version(), None, LATER)
    assert row.previous is None
    assert row.reason == "the alias was moved by hand in MLflow: version 7 instead of no version"


def test_the_deletion_of_the_champion_is_a_decision() -> None:
    """About the champion's own version and its predecessor, at the time of the deletion."""
    assert manual_promotion.deletion(LAST, LATER) == PromotionRow(
        version=4,
        previous=3,
        decision="deleted",
        reason="version 4 was deleted in the registry",
        actor="outside",
        cause=None,
        decided_at=LATER,
    )


def test_the_event_of_a_moved_alias_names_the_training_of_its_version() -> None:
    """The tags of the version have the request and the native model. No drift report caused the promotion."""
    row = PromotionRow(7, 4, "outside", "by hand", "outside", None, LATER, seq=10)
    tagged, profile = version(request_id="d/1/2/retrain", native="models:/native"), REFERENCE.profile()
    training = Training(request(2), "finished", recipe(), 0, version=7, metrics={"mae": 3.0}, profile=profile)
    assert manual_promotion.promoted("d", tagged, row, training) == ModelPromoted(
        model="d",
        version=7,
        run_id="r7",
        seq=10,
        previous=4,
        reason="by hand",
        native="models:/native",
        metrics={"mae": 3.0},
        profile=profile,
        causes=Causes(
            training="d/1/2/retrain/started", request="d/1/2/retrain", report=None, reason="by hand", batches=[]
        ),
    )


def test_a_version_that_was_registered_by_hand_has_no_training() -> None:
    """The names of its training, request and native model are empty, and nobody knows what it learnt from."""
    row = PromotionRow(7, None, "outside", "by hand", "outside", None, LATER, seq=1)
    promoted = manual_promotion.promoted("d", version(), row, None)
    assert (promoted.causes.training, promoted.causes.request, promoted.native) == ("", "", "")
    assert (promoted.metrics, promoted.profile) == ({}, None)


def test_each_decision_has_its_own_event() -> None:
    """Its id names the model and the sequence number."""
    assert manual_promotion.event_id("d", 10) == "d/outside/10"
