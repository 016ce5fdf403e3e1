"""Tables are restored from a topic of the service: only what they do not have is read."""

from collections.abc import Sequence

import pytest
from pymysql.err import ProgrammingError as DriverError
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from support.records import missed
from support.twins import duplicate_key
from support.twins.shared import CountingLog, MemoryTransactions, MemoryUnitOfWork
from veleta.events.envelope import Event, encode
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.replay import PORTION, replay

TOPIC = "d.own"


class Setup:
    """A topic of a service, and what was applied, portion by portion."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.transactions = MemoryTransactions(MemoryUnitOfWork())
        self.publisher = OutboxPublisher(self.log, self.transactions, replayed=[TOPIC])
        self.portions: list[list[str]] = []

    def publish(self, *numbers: int) -> None:
        self.log.publish([encode(TOPIC, missed("d", number)) for number in numbers])

    async def publish_by_outbox(self, *numbers: int) -> None:
        def transaction(uow: MemoryUnitOfWork) -> None:
            for number in numbers:
                uow.outbox.append(encode(TOPIC, missed("d", number)))

        await self.transactions.run(transaction)
        await self.publisher.publish_pending()

    async def start(self, *, save: bool = True) -> int:
        """Replay. Returns how many records were read."""
        self.log.read_records.clear()
        self.portions.clear()
        await replay(TOPIC, self.log, self.transactions, self._apply, save=save)
        return self.log.read_records[TOPIC]

    def _apply(self, events: Sequence[Event], _uow: MemoryUnitOfWork) -> None:
        self.portions.append([event.id for event in events])

    @property
    def checkpoint(self) -> int:
        return self.transactions.committed.checkpoints.load(TOPIC, 0)


@pytest.fixture
def setup() -> Setup:
    return Setup()


@pytest.mark.parametrize("old", [10, 1_000, 100_000])
@pytest.mark.failure("F244")
async def test_a_start_reads_nothing_if_nothing_was_lost(setup: Setup, old: int) -> None:
    """Whatever was published before the last start, and since."""
    (message,) = (encode(TOPIC, missed("d", 0)),)
    setup.log.publish([message] * old)
    assert await setup.start() == old
    await setup.publish_by_outbox(1, 2, 3)
    assert await setup.start() == 0
    assert setup.checkpoint == old + 3


@pytest.mark.failure("F248")
async def test_a_wiped_database_is_restored_in_portions(setup: Setup) -> None:
    """Each with its checkpoint: after a kill the rest is read."""
    setup.publish(*range(2 * PORTION + 1))
    assert await setup.start() == 2 * PORTION + 1
    assert [len(portion) for portion in setup.portions] == [PORTION, PORTION, 1]
    setup.transactions = MemoryTransactions(MemoryUnitOfWork())
    assert await setup.start() == 2 * PORTION + 1


@pytest.mark.failure("F248")
async def test_an_old_copy_of_the_database_is_completed(setup: Setup) -> None:
    """Only the events after its checkpoint are read."""
    await setup.publish_by_outbox(0, 1)
    old = setup.transactions.committed
    await setup.publish_by_outbox(2, 3)
    setup.transactions.committed = old
    assert await setup.start() == 2
    assert setup.portions == [["d/1/2/missed", "d/1/3/missed"]]


@pytest.mark.failure("F248")
async def test_publishing_never_skips_events_that_the_tables_lack(setup: Setup) -> None:
    """A database that was wiped while its service published: the checkpoint stays before the lost events."""
    await setup.publish_by_outbox(0, 1)
    setup.transactions.committed = MemoryUnitOfWork()
    await setup.publish_by_outbox(2)
    assert setup.checkpoint == 0
    assert await setup.start() == 3


async def test_a_topic_that_was_recreated_is_read_from_its_start(setup: Setup) -> None:
    """Its end is below the checkpoint."""
    await setup.publish_by_outbox(*range(5))
    setup.log.topics[TOPIC].clear()
    setup.publish(7)
    assert await setup.start() == 1
    assert setup.checkpoint == 1


async def test_the_checkpoint_of_a_consumer_is_not_moved(setup: Setup) -> None:
    """What it has not consumed yet is applied, and consumed later."""
    setup.publish(0, 1)
    assert await setup.start(save=False) == 2
    assert setup.checkpoint == 0


async def test_other_topics_get_no_checkpoint_by_publishing(setup: Setup) -> None:
    """The trainer writes to `retrain` and consumes it: a moved checkpoint would skip requests."""
    setup.publisher = OutboxPublisher(setup.log, setup.transactions)
    await setup.publish_by_outbox(0)
    assert setup.checkpoint == 0


@pytest.mark.failure("F359")
async def test_an_event_that_does_not_fit_is_set_aside(setup: Setup) -> None:
    """The others of its portion are applied, and it is not read again at the next start."""
    applied: list[str] = []

    def apply(events: Sequence[Event], _uow: MemoryUnitOfWork) -> None:
        if any(event.id == "d/1/1/missed" for event in events):
            raise duplicate_key("d/1/1")
        applied.extend(event.id for event in events)

    setup.publish(0, 1, 2)
    with capture_logs() as logs:
        await replay(TOPIC, setup.log, setup.transactions, apply)
    assert applied == ["d/1/0/missed", "d/1/2/missed"]
    assert [(line["event"], line["id"]) for line in logs] == [("event set aside", "d/1/1/missed")]
    assert setup.checkpoint == 3


@pytest.mark.parametrize("error", [ProgrammingError("INSERT", None, DriverError(1054, "unknown column")), OSError()])
async def test_another_error_is_not_of_the_event(setup: Setup, error: Exception) -> None:
    """It ends the restore, and nothing is lost."""

    def apply(_events: Sequence[Event], _uow: MemoryUnitOfWork) -> None:
        raise error

    setup.publish(0)
    with pytest.raises(type(error)):
        await replay(TOPIC, setup.log, setup.transactions, apply)
    assert setup.checkpoint == 0
