"""The rows of batches: in the topic `rows`, and in RAW_DATA and CLEAN_DATA."""

from collections.abc import Mapping

import sqlalchemy as sa
from kafka import TopicPartition

from veleta.adapters.kafka_clients import Admin
from veleta.adapters.mysql import database_errors
from veleta.ports import EventLog
from veleta.settings import KafkaSettings
from veleta.tables import batches, checkpoints, trainings
from veleta.topics import topic
from veleta_retention.adapters.tables import DELETE_ROWS
from veleta_retention.domain.kept_rows import BatchKey

READERS = ("loader", "drift")
"""The services that read the rows of each batch once."""
ENDED = ("finished", "merged", "skipped", "failed")
"""The states of trainings that read no more rows."""


class KafkaRows:
    """`RowTopic` through Kafka's DeleteRecords. Each deletion moves the beginning of the topic."""

    def __init__(self, kafka: KafkaSettings, event_log: EventLog, dataset: str) -> None:
        self._admin = Admin(kafka, "retention")
        self._event_log = event_log
        self._topic = topic(dataset, "rows")

    def delete_before(self, offsets: Mapping[int, int]) -> int:
        # Manifests of a topic that was recreated name offsets beyond its end.
        bounds = self._event_log.bounds(self._topic)
        found = {part: (offset, *bounds[part]) for part, offset in offsets.items() if part in bounds}
        due = {part: offset for part, (offset, first, end) in found.items() if first < offset <= end}
        if due:
            with self._admin.connected() as admin:
                admin.delete_records({TopicPartition(self._topic, part): offset for part, offset in due.items()})
        return sum(offset - found[part][1] for part, offset in due.items())


class MysqlBatchRows:
    """`RowTable`: a table whose rows belong to batches."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self._engine = engine
        self._table = table

    @property
    def name(self) -> str:
        return self._table.fullname

    def delete_before(self, oldest: BatchKey) -> int:
        epoch, number = oldest
        columns = self._table.c
        # Two statements: for a comparison of pairs the database would read the whole table.
        return sum(
            self._delete_some(*where)
            for where in ([columns.epoch < epoch], [columns.epoch == epoch, columns.number < number])
        )

    def _delete_some(self, *where: sa.ColumnElement[bool]) -> int:
        delete = sa.delete(self._table).where(*where).with_dialect_options(mysql_limit=DELETE_ROWS)
        with database_errors(), self._engine.begin() as connection:
            return connection.execute(delete).rowcount


class MysqlReaders:
    """`RowReaders`: what loader, drift and trainer have read, and still have to read."""

    def __init__(self, engine: sa.Engine, dataset: str) -> None:
        self._engine = engine
        self._topic = topic(dataset, "batches")

    def newest_epoch(self) -> int:
        query = sa.select(sa.func.max(batches.c.epoch)).where(batches.c.state == "loaded")
        with database_errors(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def processed(self) -> int:
        query = sa.select(checkpoints.c.service, checkpoints.c.next_offset).where(checkpoints.c.topic == self._topic)
        with database_errors(), self._engine.connect() as connection:
            offsets = {row.service: int(row.next_offset) for row in connection.execute(query)}
        return min(offsets.get(service, 0) for service in READERS)

    def trainings_from(self) -> BatchKey | None:
        query = sa.select(trainings.c.cause, trainings.c.recipe).where(trainings.c.state.not_in(ENDED))
        with database_errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return min((key for cause, recipe in rows for key in _batches(cause, recipe)), default=None)


def _batches(cause: Mapping[str, int], recipe: Mapping[str, list[Mapping[str, int]]] | None) -> list[BatchKey]:
    """The batches that a training learns from. One that is not planned needs its whole epoch.

    The rows of the champion's holdout may be deleted: a training leaves out what it cannot read.
    """
    if recipe is None:
        return [(cause["epoch"], 0)]
    return [(each["epoch"], each["number"]) for each in recipe["batches"]]
