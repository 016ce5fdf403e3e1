"""The log of intent and the decisions, in MySQL."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.clock import for_sql
from veleta.tables import promotions, trainings
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import Request, State, Training


class MysqlTrainings:
    """`Trainings` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._sql = connection

    def add(self, request: Request, at: datetime) -> None:
        """See `Trainings.add`."""
        line = insert(trainings).values(
            request_id=request.request_id,
            state="waiting",
            cause=asdict(request),
            attempts=0,
            requested_at=for_sql(at),
        )
        self._sql.execute(line.on_duplicate_key_update(request_id=trainings.c.request_id))

    def waiting(self) -> list[Request]:
        """See `Trainings.waiting`."""
        query = sa.select(trainings.c.cause).where(trainings.c.state == "waiting").order_by(trainings.c.requested_at)
        return [Request(**cause) for cause in self._sql.scalars(query)]

    def under_way(self) -> Training | None:
        """See `Trainings.under_way`."""
        decided = promotions.c.cause == trainings.c.request_id
        query = (
            sa.select(trainings, promotions.c.seq, promotions.c.decision, promotions.c.reason)
            .select_from(trainings.outerjoin(promotions, decided))
            .where(trainings.c.state.in_(get_args(State)))
            .order_by(trainings.c.started_at)
        )
        line = self._sql.execute(query).first()
        if line is None:
            return None
        return Training(
            request=Request(**line.cause),
            state=line.state,
            recipe=Recipe.model_validate(line.recipe),
            attempts=line.attempts,
            run_id=line.run_id or "",
            version=line.version or 0,
            metrics=line.metrics,
            seq=line.seq or 0,
            decision=line.decision,
            reason=line.reason or "",
        )

    def write(self, request_id: str, **values: Any) -> None:
        """See `Trainings.write`."""
        self._sql.execute(sa.update(trainings).where(trainings.c.request_id == request_id).values(**values))

    def recipe_of(self, version: int) -> Recipe | None:
        """See `Trainings.recipe_of`."""
        recipe = self._sql.scalar(sa.select(trainings.c.recipe).where(trainings.c.version == version))
        return Recipe.model_validate(recipe) if recipe else None

    def decide(self, **values: Any) -> int:
        """See `Trainings.decide`."""
        known = sa.select(promotions.c.seq).where(promotions.c.cause == values["cause"])
        if (seq := self._sql.scalar(known)) is not None:
            return int(seq)
        last = self._sql.scalar(sa.select(sa.func.max(promotions.c.seq)).with_for_update())
        seq = int(last or 0) + 1
        self._sql.execute(sa.insert(promotions).values(seq=seq, **values))
        return seq
