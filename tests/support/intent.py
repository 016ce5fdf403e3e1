"""The trainer's log of intent, as tests look at it."""

from typing import Any

import sqlalchemy as sa

from support.world import World
from veleta.tables import trainings


def lines(world: World) -> dict[str, Any]:
    """The log of intent by request."""
    return {row.request_id: row for row in world.sql(sa.select(trainings))}


def ended(world: World, batch: str) -> bool:
    """Whether the request of a batch (epoch/number) has ended."""
    line = lines(world).get(f"{world.dataset.name}/{batch}/retrain")
    return line is not None and line.ended_at is not None
