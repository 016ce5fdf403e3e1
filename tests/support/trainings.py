"""Training requests of a deployment, and their rows in PIPELINE.trainings."""

from typing import Any

import sqlalchemy as sa

from support.batches import send
from support.testbed import Testbed
from veleta.events.catalogue import RetrainRequested
from veleta.tables import trainings


def request_training(testbed: Testbed, epoch: int, number: int) -> None:
    """Request a training as drift does."""
    batch = {"dataset": testbed.dataset.name, "epoch": epoch, "number": number}
    send(
        testbed.log,
        testbed.dataset,
        "retrain",
        RetrainRequested(**batch, reason="x", first=False, batches=[]),
        "retrain",
    )


def training_rows(testbed: Testbed) -> dict[str, Any]:
    """The rows by request."""
    return {row.request_id: row for row in testbed.sql(sa.select(trainings))}


def ended(testbed: Testbed, batch: str) -> bool:
    """Whether the request of a batch (epoch/number) has ended."""
    row = training_rows(testbed).get(f"{testbed.dataset.name}/{batch}/retrain")
    return row is not None and row.ended_at is not None
