"""The payloads of the trainer's events."""

from dataclasses import replace

import pytest

from support.batches import TIME
from support.trainer import recipe, request
from veleta_trainer.domain import events
from veleta_trainer.domain.training import PromotionRow, Training


@pytest.mark.parametrize(
    ("cause", "report"),
    [
        ("real_estate/1/2/assessed", "real_estate/1/2/assessed"),
        ("real_estate/1/2/closed", None),
        ("retrain/1f0c", None),
        (None, None),
    ],
)
def test_the_causes_name_a_drift_report_only_if_there_is_one(cause: str | None, report: str | None) -> None:
    """A batch, a promotion or a person may have caused the training."""
    training = Training(replace(request(2), cause=cause), "decided", recipe(), 0, version=3)
    decision = PromotionRow(3, None, "promoted", "better", "trainer", "real_estate/1/2/retrain", TIME, seq=1)
    causes = events.decided(training, decision, {}).causes
    assert (causes.report, causes.request) == (report, "real_estate/1/2/retrain")
