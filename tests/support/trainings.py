"""Training requests of a deployment, and their rows in PIPELINE.trainings."""

from typing import Any

import sqlalchemy as sa

from support.batches import send
from support.world import World
from veleta.events.catalogue import RetrainRequested
from veleta.tables import trainings


def request_training(world: World, epoch: int, number: int) -> None:
    """Request a training as drift does."""
    batch = {"dataset": world.dataset.name, "epoch": epoch, "number": number}
    send(world.log, world.dataset, "retrain", RetrainRequested(**batch, reason="x", first=False, batches=[]), "retrain")


def training_rows(world: World) -> dict[str, Any]:
    """The rows by request."""
    return {row.request_id: row for row in world.sql(sa.select(trainings))}


def ended(world: World, batch: str) -> bool:
    """Whether the request of a batch (epoch/number) has ended."""
    row = training_rows(world).get(f"{world.dataset.name}/{batch}/retrain")
    return row is not None and row.ended_at is not None
