"""Whether trainings helped."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.drift_reports import ASSESSED, HARMED, HELPED
from veleta_monitor.domain.retrains import retrains_sentence, rollback_notice
from veleta_monitor.domain.versions import ServedModel

MODEL = ServedModel(7, 12, None, ASSESSED - timedelta(minutes=5), {}, None)


@pytest.mark.failure("F456")
def test_a_rollback_is_proposed_for_the_served_version() -> None:
    """With the command. Not for a version that is no longer served, and not for one that helped."""
    assert rollback_notice([HELPED, HARMED], MODEL) == (
        "Version 7 predicts batch 2/3 worse than version 6, which it replaced (MAE +4.1 %, beyond chance). "
        "To go back: make rollback REASON=..."
    )
    assert rollback_notice([HELPED, HARMED], replace(MODEL, version=8)) == ""
    assert rollback_notice([HELPED, HARMED], replace(MODEL, version=9)) == ""
    assert rollback_notice([HARMED], None) == ""
    several = rollback_notice([replace(HARMED, batches=6)], MODEL)
    assert several.startswith("Version 7 predicts 6 batches up to 2/3 worse than version 6, which it replaced")


def test_a_summary_names_the_batches_that_decided() -> None:
    """One batch, or several up to one."""
    assert HELPED.summary == "helped: MAE -3.2 % on batch 2/4"
    assert replace(HELPED, batches=6).summary == "helped: MAE -3.2 % on 6 batches up to 2/4"


@pytest.mark.failure("F456")
def test_a_comparison_from_before_the_promotion_proposes_nothing() -> None:
    """The version was promoted again since: it replaced another version, to which a rollback would return."""
    again = replace(MODEL, promoted_at=ASSESSED + timedelta(minutes=5))
    assert rollback_notice([HARMED], again) == ""
    assert rollback_notice([HARMED], replace(again, promoted_at=None)) != "", "inference found it in MLflow"


def test_the_share_of_trainings_that_helped() -> None:
    """Verdicts without a training are left out."""
    assert retrains_sentence({}) == ""
    assert retrains_sentence({"helped": 3}) == "3 of 3 retrains helped (100 %)."
    assert retrains_sentence({"helped": 9, "no difference": 2, "harmed": 1}) == (
        "9 of 12 retrains helped (75 %), 2 made no difference, 1 harmed."
    )


def test_the_summary_has_the_change_and_the_batch() -> None:
    """As the table of versions shows it."""
    assert HELPED.summary == "helped: MAE -3.2 % on batch 2/4"
