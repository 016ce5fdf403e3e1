"""The descriptions of versions."""

from dataclasses import replace

import pytest

from support.batches import TIME
from support.trainer import recipe, request
from veleta.events.catalogue import BatchClosed
from veleta_trainer.domain.description import MAX_CHARACTERS, description
from veleta_trainer.domain.training import PromotionRow, Training

BATCHES = [
    BatchClosed(dataset="d", epoch=1, number=n, rows=1_000, chunks=1, digest="d", dataset_digest="d", ranges=[])
    for n in range(3)
]
REQUEST = replace(request(2), reason="bed: median 2 -> 3", batches=["d/1/1", "d/1/2"])
TRAINING = Training(REQUEST, "registered", recipe(batches=BATCHES), attempts=0, run_id="run", version=2)
WHY = (
    "Requested because of d/1/1, d/1/2: bed: median 2 -> 3. "
    "Learnt from 3 batches (3,000 rows as received): d/1/0 to d/1/2."
)
PROMOTED = PromotionRow(2, 1, "promoted", "MAE 50 is lower than 60", "trainer", "request", TIME, seq=4)


def test_a_version_says_why_it_exists() -> None:
    """The reason of the request, the batches that were compared, and those that it learnt from."""
    assert description(TRAINING) == WHY
    alone = replace(TRAINING, recipe=recipe(batches=BATCHES[:1]))
    assert description(alone).endswith("Learnt from 1 batch (1,000 rows as received): d/1/0.")


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (PROMOTED, "Decision 4: promoted: MAE 50 is lower than 60. It replaced version 1."),
        (replace(PROMOTED, previous=None), "Decision 4: promoted: MAE 50 is lower than 60."),
        (
            replace(PROMOTED, decision="rolled back", actor="ada", reason="wrong"),
            "Decision 4: rolled back by ada: wrong. It replaced version 1.",
        ),
        (replace(PROMOTED, decision="rejected", reason="MAE 70"), "Decision 4: rejected: MAE 70."),
    ],
    ids=["promoted", "first", "rolled back", "rejected"],
)
def test_a_decision_says_what_was_replaced_or_why_it_was_not(decision: PromotionRow, text: str) -> None:
    """After the reason why the version exists."""
    assert description(TRAINING, decision) == f"{WHY} {text}"


def test_a_long_reason_is_cut() -> None:
    """MLflow limits the length."""
    assert len(description(replace(TRAINING, request=replace(REQUEST, reason="x" * 60_000)))) == MAX_CHARACTERS
