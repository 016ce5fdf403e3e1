"""Where a service resumes: checkpoints in MySQL, stored in the transaction of each effect.

Kafka's committed offsets only show the lag. After a crash the checkpoints are right; after a loss of the database, or
of a topic, they show that records must be processed again.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from veleta.errors import StateLost
from veleta.events.envelope import Record
from veleta.ports import Checkpoints, EventLog, Transactions, UnitOfWork

log = structlog.get_logger()


def is_due(record: Record, uow: UnitOfWork) -> bool:
    """Whether this record is the next one to process. False if it was processed before.

    Raises:
        StateLost: an earlier record was not processed either.
    """
    checkpoint = uow.checkpoints.load(record.topic, record.partition)
    if checkpoint < record.offset:
        raise StateLost(f"the checkpoint in {record.topic} is {checkpoint}, but record {record.offset} arrived")
    return checkpoint == record.offset


async def validated_checkpoints(
    topics: Sequence[str], event_log: EventLog, transactions: Transactions[UnitOfWork]
) -> Checkpoints:
    """The checkpoints of a service, corrected to the offsets that exist. Raises Retry.

    A checkpoint beyond the end belongs to a topic that was recreated: it restarts at the beginning. A checkpoint before
    the beginning belongs to deleted records: it moves to the first record.
    """
    checkpoints = dict(await transactions.run(lambda uow: uow.checkpoints.load_all()))
    for name in topics:
        for partition, (first, end) in (await asyncio.to_thread(event_log.bounds, name)).items():
            checkpoint = checkpoints.get((name, partition), 0)
            if first <= checkpoint <= end:
                continue
            problem = "topic was recreated" if checkpoint > end else "records were deleted"
            log.error(problem, topic=name, checkpoint=checkpoint, first=first, end=end)
            await transactions.run(partial(_save, name, partition, first))
            checkpoints[name, partition] = first
    return checkpoints


def _save(topic: str, partition: int, offset: int, uow: UnitOfWork) -> None:
    uow.checkpoints.save(topic, partition, offset)


class CheckpointMonitor:
    """Compares the checkpoints in the database with what this process processed.

    A database that was wiped or restored has older checkpoints; a topic that was recreated has older offsets.
    """

    def __init__(self, transactions: Transactions[UnitOfWork]) -> None:
        self._transactions = transactions
        self._processed: dict[tuple[str, int], int] = {}
        self._lost = False

    def start(self, checkpoints: Checkpoints) -> None:
        """Restart the comparison from these checkpoints."""
        self._processed = dict(checkpoints)
        self._lost = False

    async def compare(self) -> None:
        """Read the checkpoints from the database. Raises Retry."""
        processed = dict(self._processed)
        checkpoints = await self._transactions.run(lambda uow: uow.checkpoints.load_all())
        self._lost = any(checkpoints.get(partition, 0) < offset for partition, offset in processed.items())

    def verify(self) -> None:
        """Raises StateLost if the last comparison found older checkpoints."""
        if self._lost:
            raise StateLost("the database lost checkpoints")

    def before(self, record: Record) -> None:
        """Verify the next record. Raises StateLost if its offset was already processed."""
        if record.offset < self._processed.get((record.topic, record.partition), 0):
            raise StateLost(f"{record.topic} was recreated")

    def after(self, record: Record) -> None:
        """Remember that this record was processed."""
        self._processed[record.topic, record.partition] = record.offset + 1
