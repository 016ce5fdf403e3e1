"""The manifests of the closed batches, in a table that follows the topic `batches`.

Each service has its own manifests, because none may depend on the progress of another. A query first reads the records
that the topic got since the last one. So its cost does not grow with the number of old batches.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Record, decode, header_texts
from veleta.ports import EventLog, ManifestUnitOfWork, Transactions
from veleta.topics import topic

PORTION = 2_000
"""Records that are read before their manifests are stored: a table is filled from its start in portions."""
log = structlog.get_logger()


class Manifests:
    """The manifests of one dataset, for one service."""

    def __init__(self, dataset: str, event_log: EventLog, transactions: Transactions[ManifestUnitOfWork]) -> None:
        self._topic = topic(dataset, "batches")
        self._event_log = event_log
        self._transactions = transactions

    async def newest(self, epoch: int, number: int, limit: int) -> list[BatchClosed]:
        """The last `limit` closed batches of an epoch up to `number`, in the order of their numbers.

        They have no findings. The last manifest of a batch counts. Raises Retry.
        """
        await self._follow_topic()
        return await self._transactions.run(lambda uow: uow.manifests.newest(epoch, number, limit))

    async def last(self) -> BatchClosed | None:
        """The batch that was closed last, without its findings. Raises Retry."""
        await self._follow_topic()
        return await self._transactions.run(lambda uow: uow.manifests.last())

    async def copied(self, manifest: BatchClosed) -> BatchClosed | None:
        """The batch of the epoch before with the same number, if it has the same rows. Raises Retry."""
        earlier = await self.newest(manifest.epoch - 1, manifest.number, 1) if manifest.epoch > 1 else []
        return next((each for each in earlier if each.digest == manifest.digest), None)

    async def _follow_topic(self) -> None:
        for partition, (first, end) in (await asyncio.to_thread(self._event_log.bounds, self._topic)).items():
            await self._follow(partition, first, end)

    async def _follow(self, partition: int, first: int, end: int) -> None:
        """Store the manifests of new records. The topic has one partition."""
        start = await self._transactions.run(lambda uow: uow.manifests.next_offset())
        if start > end:
            log.error("topic was recreated", topic=self._topic, checkpoint=start, first=first, end=end)
            while await self._transactions.run(lambda uow: uow.manifests.delete_some()):
                pass
            start = first
        for portion in range(max(start, first), end, PORTION):
            last = min(portion + PORTION, end) - 1
            found = await asyncio.to_thread(self._read, partition, portion, last)
            await self._transactions.run(partial(_save, found))

    def _read(self, partition: int, first: int, last: int) -> list[tuple[int, BatchClosed]]:
        """The manifests in this range, each with the offset after it."""
        records = self._event_log.read(self._topic, partition, first, last)
        return [(record.offset + 1, manifest) for record in records if (manifest := _manifest(record))]


def _save(found: Sequence[tuple[int, BatchClosed]], uow: ManifestUnitOfWork) -> None:
    uow.manifests.save(found)


def _manifest(record: Record) -> BatchClosed | None:
    """The manifest in a record, without its findings: they may be long. None if it is another event, or unreadable."""
    if header_texts(record).get("ce_type") != BatchClosed.TYPE:
        return None
    try:
        payload = decode(record).payload
    except Reject:
        return None
    return payload.model_copy(update={"findings": []}) if isinstance(payload, BatchClosed) else None
