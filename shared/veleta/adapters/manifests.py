"""The table of manifests in MySQL: PIPELINE.manifests."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.events.catalogue import BatchClosed
from veleta.tables import manifests, own_rows

ROWS_PER_DELETE = 5_000
"""Rows that one statement deletes, so that it is short."""


class MysqlManifests:
    """`ManifestRepository` of one service on one connection."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._own = own_rows(manifests, service)

    def next_offset(self) -> int:
        return int(self._connection.scalar(sa.select(sa.func.max(self._own.c.next_offset))) or 0)

    def save(self, found: Sequence[tuple[int, BatchClosed]]) -> None:
        if not found:
            return
        statement = insert(self._own)
        changed = {name: statement.inserted[name] for name in ("next_offset", "manifest")}
        self._connection.execute(statement.on_duplicate_key_update(changed), [self._row(*each) for each in found])

    def newest(self, epoch: int, number: int, limit: int) -> list[BatchClosed]:
        columns = self._own.c
        query = sa.select(columns.manifest).where(columns.epoch == epoch, columns.number <= number)
        documents = self._connection.scalars(query.order_by(columns.number.desc()).limit(limit)).all()
        return [BatchClosed.model_validate(document) for document in reversed(documents)]

    def last(self) -> BatchClosed | None:
        query = sa.select(self._own.c.manifest).order_by(self._own.c.next_offset.desc())
        document = self._connection.scalar(query.limit(1))
        return BatchClosed.model_validate(document) if document else None

    def delete_some(self) -> int:
        delete = sa.delete(self._own).with_dialect_options(mysql_limit=ROWS_PER_DELETE)
        return self._connection.execute(delete).rowcount

    def _row(self, next_offset: int, manifest: BatchClosed) -> dict[str, object]:
        return {
            "service": self._service,
            "epoch": manifest.epoch,
            "number": manifest.number,
            "next_offset": next_offset,
            "manifest": manifest.model_dump(mode="json"),
        }
