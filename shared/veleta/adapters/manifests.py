"""The table of manifests in MySQL: PIPELINE.manifests."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.events.catalogue import BatchClosed
from veleta.tables import manifests

ROWS_PER_DELETE = 5_000
"""Rows that one statement deletes, so that it is short."""


class MysqlManifests:
    """`ManifestRepository` of one service on one connection."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._own = manifests.c.service == service

    def next_offset(self) -> int:
        return int(self._connection.scalar(sa.select(sa.func.max(manifests.c.next_offset)).where(self._own)) or 0)

    def save(self, found: Sequence[tuple[int, BatchClosed]]) -> None:
        if not found:
            return
        statement = insert(manifests)
        changed = {name: statement.inserted[name] for name in ("next_offset", "manifest")}
        self._connection.execute(statement.on_duplicate_key_update(changed), [self._row(*each) for each in found])

    def newest(self, epoch: int, number: int, limit: int) -> list[BatchClosed]:
        query = sa.select(manifests.c.manifest).where(
            self._own, manifests.c.epoch == epoch, manifests.c.number <= number
        )
        documents = self._connection.scalars(query.order_by(manifests.c.number.desc()).limit(limit)).all()
        return [BatchClosed.model_validate(document) for document in reversed(documents)]

    def last(self) -> BatchClosed | None:
        query = sa.select(manifests.c.manifest).where(self._own)
        document = self._connection.scalar(query.order_by(manifests.c.next_offset.desc()).limit(1))
        return BatchClosed.model_validate(document) if document else None

    def delete_some(self) -> int:
        delete = sa.delete(manifests).where(self._own).with_dialect_options(mysql_limit=ROWS_PER_DELETE)
        return self._connection.execute(delete).rowcount

    def _row(self, next_offset: int, manifest: BatchClosed) -> dict[str, object]:
        return {
            "service": self._service,
            "epoch": manifest.epoch,
            "number": manifest.number,
            "next_offset": next_offset,
            "manifest": manifest.model_dump(mode="json"),
        }
