"""The log of intent and the decisions, in MySQL."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.mysql import MysqlUnitOfWork
from veleta.clock import for_sql
from veleta.errors import StateLost
from veleta.tables import promotions, trainings
from veleta_trainer.adapters.lease import MysqlLeaseRepository
from veleta_trainer.domain.outside import DECISION
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.replay import Told
from veleta_trainer.domain.training import STEPS, Crowned, Request, State, Training, rank
from veleta_trainer.handlers import SERVICE


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
            sa.select(trainings, promotions.c.seq, promotions.c.decision, promotions.c.reason, promotions.c.decided_at)
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
            decided_at=line.decided_at and line.decided_at.replace(tzinfo=UTC),
        )

    def write(self, request_id: str, **values: Any) -> None:
        """See `Trainings.write`."""
        line = sa.update(trainings).where(trainings.c.request_id == request_id)
        if self._sql.execute(line.values(**values)).rowcount != 1:
            raise StateLost(f"the line of {request_id} is gone")

    def recipe_of(self, version: int) -> Recipe | None:
        """See `Trainings.recipe_of`."""
        recipe = self._sql.scalar(_last_of(version, trainings.c.recipe))
        return Recipe.model_validate(recipe) if recipe else None

    def metrics_of(self, version: int) -> dict[str, float]:
        """See `Trainings.metrics_of`."""
        return self._sql.scalar(_last_of(version, trainings.c.metrics)) or {}

    def champion(self) -> Crowned | None:
        """See `Trainings.champion`."""
        query = (
            sa.select(promotions.c.seq, promotions.c.version, promotions.c.previous)
            .where(promotions.c.decision.in_(("promoted", DECISION)))
            .order_by(promotions.c.seq.desc())
        )
        last = self._sql.execute(query.limit(1)).first()
        return Crowned(*last) if last else None

    def given_up(self) -> bool:
        """See `Trainings.given_up`."""
        states = set(self._sql.scalars(sa.select(trainings.c.state).distinct()))
        return "failed" in states and not states.intersection(STEPS)

    def restore(self, told: Told) -> None:
        """See `Trainings.restore`. The consumer may add the same requests meanwhile."""
        for request_id in told.trainings.keys() - self._states().keys():
            missing = insert(trainings).values(attempts=0, **told.trainings[request_id])
            self._sql.execute(missing.on_duplicate_key_update(request_id=trainings.c.request_id))
        for request_id, state in self._states().items():
            line = told.trainings.get(request_id)
            if line and rank(line["state"]) > rank(state):
                self._sql.execute(sa.update(trainings).where(trainings.c.request_id == request_id).values(**line))
        for seq in sorted(told.promotions.keys() - set(self._sql.scalars(sa.select(promotions.c.seq)))):
            self._sql.execute(sa.insert(promotions).values(**told.promotions[seq]))

    def _states(self) -> dict[str, str]:
        return {
            line.request_id: line.state
            for line in self._sql.execute(sa.select(trainings.c.request_id, trainings.c.state))
        }

    def decide(self, **values: Any) -> int:
        """See `Trainings.decide`."""
        known = sa.select(promotions.c.seq).where(promotions.c.cause == values["cause"])
        if values["cause"] and (seq := self._sql.scalar(known)) is not None:
            return int(seq)
        last = self._sql.scalar(sa.select(sa.func.max(promotions.c.seq)).with_for_update())
        seq = int(last or 0) + 1
        self._sql.execute(sa.insert(promotions).values(seq=seq, **values))
        return seq


class MysqlTrainerUnitOfWork(MysqlUnitOfWork):
    """`TrainerUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection, SERVICE)
        self.trainings = MysqlTrainings(connection)
        self.lease = MysqlLeaseRepository(connection)


def _last_of(version: int, column: sa.Column[Any]) -> sa.Select[Any]:
    """A value of the training that made a version: the newest, for a registry that was made anew counts from 1."""
    return sa.select(column).where(trainings.c.version == version).order_by(trainings.c.requested_at.desc()).limit(1)
