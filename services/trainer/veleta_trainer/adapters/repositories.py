"""The trainer's tables in MySQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.level_rows import level_updated
from veleta.adapters.manifests import MysqlManifests
from veleta.adapters.mysql import MysqlUnitOfWork
from veleta.clock import for_sql
from veleta.errors import StateLost
from veleta.events.catalogue import Measures, Profile
from veleta.market_levels import LevelHistory, history_of
from veleta.ports import Version
from veleta.tables import evaluations, interval_levels, leases, market_levels, promotions, trainings
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.interval_level import IntervalLevelRow
from veleta_trainer.domain.manual_promotion import DELETED
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import (
    ACTIVE_STATES,
    CHAMPION_DECISIONS,
    TRANSITIONS,
    PromotionRow,
    State,
    Training,
    TrainingRequest,
    TrainingRow,
    progress,
    waiting_row,
)
from veleta_trainer.handlers import SERVICE
from veleta_trainer.ports import LeaseRow


class MysqlTrainings:
    """Stores trainings: `TrainingRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, request: TrainingRequest, at: datetime) -> None:
        self._insert(waiting_row(request, at))

    def exists(self, request_id: str) -> bool:
        query = sa.select(trainings.c.request_id).where(trainings.c.request_id == request_id)
        return self._connection.scalar(query) is not None

    def waiting(self) -> list[TrainingRequest]:
        query = sa.select(trainings.c.cause).where(trainings.c.state == "waiting").order_by(trainings.c.requested_at)
        return [TrainingRequest(**cause) for cause in self._connection.scalars(query)]

    def active(self) -> Training | None:
        return self._first(trainings.c.state.in_(ACTIVE_STATES), trainings.c.started_at)

    def update(self, request_id: str, columns: TrainingRow) -> None:
        query = sa.update(trainings).where(trainings.c.request_id == request_id).values(**_for_sql(columns))
        if self._connection.execute(query).rowcount != 1:
            raise StateLost(f"the row of {request_id} is missing")

    def of_version(self, version: int) -> Training | None:
        return self._first(trainings.c.version == version, trainings.c.requested_at.desc())

    def needs_new_request(self) -> bool:
        states = set(self._connection.scalars(sa.select(trainings.c.state).distinct()))
        return "failed" in states and not states.intersection(TRANSITIONS)

    def states(self, request_ids: Collection[str]) -> dict[str, State]:
        query = sa.select(trainings.c.request_id, trainings.c.state).where(trainings.c.request_id.in_(request_ids))
        return {row.request_id: row.state for row in self._connection.execute(query)}

    def restore(self, rows: Iterable[TrainingRow]) -> None:
        # The consumer may insert the same requests meanwhile.
        by_request = {row["request_id"]: row for row in rows}
        for request_id in by_request.keys() - self.states(by_request).keys():
            self._insert(by_request[request_id])
        for request_id, state in self.states(by_request).items():
            if progress(by_request[request_id]["state"]) >= progress(state):
                self.update(request_id, by_request[request_id])

    def _insert(self, row: TrainingRow) -> None:
        query = insert(trainings).values(attempts=0, **_for_sql(row))
        self._connection.execute(query.on_duplicate_key_update(request_id=trainings.c.request_id))

    def _first(self, condition: sa.ColumnElement[bool], order: sa.ColumnElement[Any]) -> Training | None:
        query = sa.select(trainings).where(condition, trainings.c.recipe.is_not(None)).order_by(order).limit(1)
        row = self._connection.execute(query).first()
        if row is None:
            return None
        return Training(
            request=TrainingRequest(**row.cause),
            state=row.state,
            recipe=Recipe.model_validate(row.recipe),
            attempts=row.attempts,
            fits=row.fits,
            run_id=row.run_id or "",
            version=row.version or 0,
            metrics=row.metrics or {},
            profile=Profile.model_validate(row.profile) if row.profile else None,
        )


class MysqlPromotions:
    """Stores decisions: `PromotionRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def append(self, promotion: PromotionRow) -> PromotionRow:
        if promotion.cause and (stored := self.of_request(promotion.cause)):
            return stored
        last = self._connection.scalar(sa.select(sa.func.max(promotions.c.seq)).with_for_update())
        numbered = replace(promotion, seq=int(last or 0) + 1)
        self._insert(numbered)
        return numbered

    def last_seq(self) -> int | None:
        last: int | None = self._connection.scalar(sa.select(sa.func.max(promotions.c.seq)))
        return last

    def of_request(self, request_id: str) -> PromotionRow | None:
        return self._first(sa.select(promotions).where(promotions.c.cause == request_id))

    def champion(self) -> PromotionRow | None:
        query = sa.select(promotions).where(promotions.c.decision.in_(CHAMPION_DECISIONS))
        return self._first(query.order_by(promotions.c.seq.desc()).limit(1))

    def champions(self) -> list[tuple[int, str]]:
        query = sa.select(promotions.c.version, promotions.c.decision).order_by(promotions.c.seq)
        return [(*row,) for row in self._connection.execute(query.where(promotions.c.decision.in_(CHAMPION_DECISIONS)))]

    def has_deletion(self, champion: PromotionRow) -> bool:
        deletions = sa.select(promotions).where(promotions.c.decision == DELETED, promotions.c.seq > champion.seq)
        return self._first(deletions.where(promotions.c.version == champion.version)) is not None

    def restore(self, rows: Iterable[PromotionRow]) -> None:
        missing = sorted(rows, key=lambda row: row.seq)
        query = sa.select(promotions.c.seq).where(promotions.c.seq.in_([row.seq for row in missing]))
        stored = set(self._connection.scalars(query))
        for row in missing:
            if row.seq not in stored:
                self._insert(row)

    def _insert(self, promotion: PromotionRow) -> None:
        columns = asdict(promotion) | {"gates": [asdict(gate) for gate in promotion.gates] or None}
        self._connection.execute(sa.insert(promotions).values(**_for_sql(columns)))

    def _first(self, query: sa.Select[Any]) -> PromotionRow | None:
        row = self._connection.execute(query).mappings().first()
        if row is None:
            return None
        gates = tuple(Check(**gate) for gate in row["gates"] or ())
        return PromotionRow(**{**row, "decided_at": row["decided_at"].replace(tzinfo=UTC), "gates": gates})


class MysqlIntervalLevels:
    """Stores levels of intervals: `IntervalLevelRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def save(self, row: IntervalLevelRow) -> None:
        columns = _for_sql(asdict(row))
        self._connection.execute(insert(interval_levels).values(**columns).on_duplicate_key_update(**columns))

    def last(self, version: Version) -> IntervalLevelRow | None:
        columns = interval_levels.c
        query = sa.select(interval_levels).where(columns.version == version.number, columns.run_id == version.run_id)
        row = self._connection.execute(query.order_by(columns.epoch.desc(), columns.number.desc()).limit(1)).first()
        if row is None:
            return None
        return IntervalLevelRow(**{**row._mapping, "adjusted_at": row.adjusted_at.replace(tzinfo=UTC)})


class MysqlMarketLevels:
    """Reads levels of prices: `MarketLevelRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def history(self, version: int, run_id: str, before: tuple[int, int] | None = None) -> LevelHistory:
        columns = market_levels.c
        query = sa.select(market_levels).where(columns.version == version, columns.run_id == run_id)
        rows = self._connection.execute(query.order_by(columns.seq)).mappings()
        updates = (level_updated("", row) for row in rows)
        return history_of(
            takewhile(lambda each: before is None or not each.epoch or (each.epoch, each.number or 0) < before, updates)
        )


class MysqlEvaluations:
    """Stores measures: `EvaluationRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def replace(self, version: int, measures: Sequence[Measures]) -> None:
        self._connection.execute(sa.delete(evaluations).where(evaluations.c.version == version))
        rows = [
            {"version": version, "model": each.model, "slice": each.slice, "holdout_rows": each.rows}
            | {"metric": metric, "value": value}
            for each in measures
            for metric, value in each.metrics.items()
        ]
        query = insert(evaluations)  # MySQL takes names that differ by spaces at their end for the same
        query = query.on_duplicate_key_update(value=query.inserted.value)
        if rows:
            self._connection.execute(query, rows)


class MysqlLease:
    """Stores the lease as a row of PIPELINE.leases: `LeaseRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        now: datetime = self._connection.scalars(sa.select(sa.func.utc_timestamp(6))).one()
        return now

    def load(self) -> LeaseRow | None:
        query = sa.select(leases.c.holder, leases.c.fence, leases.c.expires_at).where(leases.c.name == SERVICE)
        row = self._connection.execute(query.with_for_update()).first()
        return LeaseRow(*row) if row else None

    def save(self, row: LeaseRow) -> None:
        columns = asdict(row)
        self._connection.execute(insert(leases).values(name=SERVICE, **columns).on_duplicate_key_update(**columns))


class MysqlTrainerUnitOfWork(MysqlUnitOfWork):
    """`TrainerUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection, SERVICE)
        self.manifests = MysqlManifests(connection, SERVICE)
        self.trainings = MysqlTrainings(connection)
        self.promotions = MysqlPromotions(connection)
        self.evaluations = MysqlEvaluations(connection)
        self.interval_levels = MysqlIntervalLevels(connection)
        self.market_levels = MysqlMarketLevels(connection)
        self.lease = MysqlLease(connection)


def _for_sql(columns: Mapping[str, object]) -> dict[str, object]:
    """The columns with times as DATETIME has them: UTC without a zone."""
    return {name: for_sql(value) if isinstance(value, datetime) else value for name, value in columns.items()}
