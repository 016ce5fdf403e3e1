"""The commands about the level of the market on in-memory repositories."""

from collections.abc import Sequence

import pytest

from support.batches import TIME, publish_batch
from support.drift_models import FakeModel, reference_of
from support.markets import LEARNT, MARKET, market_levels, market_rows
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import OutboxLog, StrictTransactions
from veleta.commands import PendingCommands
from veleta.dataset import parse_dataset
from veleta.events.catalogue import (
    AcceptLevel,
    Command,
    CommandAccepted,
    CommandAnswer,
    CommandRefused,
    PinLevel,
    Promote,
    ResetLevel,
)
from veleta.events.envelope import Event, Record, decode, encode
from veleta.faults import fault_point
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_drift.batch_sampler import LocalBatchSampler
from veleta_drift.level_commands import COMMAND_TYPES, LevelCommands
from veleta_drift.level_keeper import LevelKeeper

DATASET = parse_dataset(MARKET)
COMMANDS = topic(DATASET.name, "commands")


class Killed(BaseException):
    """The process ends here."""


class Drift:
    """The commands of drift, which a restart makes anew. The log and the tables stay."""

    def __init__(self) -> None:
        self.transactions = StrictTransactions(MemoryDriftUnitOfWork())
        self.log = OutboxLog("drift", lambda: self.transactions.committed.outbox)
        reference = reference_of(DATASET, market_rows(0)).model_copy(update={"last": (1, 0)})
        self.models = MemoryModels(FakeModel(1, reference, market=market_levels()))
        self.restart()

    def restart(self) -> None:
        assert DATASET.market
        publisher = OutboxPublisher(self.log, self.transactions)
        manifests = Manifests(DATASET.name, self.log, self.transactions)
        sampler = LocalBatchSampler(DATASET, self.log)
        keeper = LevelKeeper(DATASET, DATASET.market, sampler, manifests, self.transactions, publisher, lambda: TIME)
        self.commands = LevelCommands(
            DATASET.name, self.log, keeper, self.models, self.transactions, publisher, ServiceHealth("drift"),
            lambda: TIME, lambda: True,
        )  # fmt: skip
        self.pending = PendingCommands("drift", COMMAND_TYPES, len(self.log.topics.get(COMMANDS, [])))
        self.read = 0

    def send(self, command_id: str, command: Command) -> None:
        self.log.publish([encode(COMMANDS, Event(command_id, "shell", TIME, command))])

    async def handle(self) -> None:
        """Read the new records, and handle what is due."""
        records: Sequence[Record] = self.log.topics.get(COMMANDS, [])[self.read :]
        self.pending.on_records(records)
        self.read += len(records)
        await self.commands.handle_due(self.pending)

    @property
    def replies(self) -> list[CommandAnswer]:
        payloads = [decode(record).payload for record in self.log.topics.get(COMMANDS, [])]
        return [each for each in payloads if isinstance(each, CommandAnswer)]

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        return [(each.version, each.outcome) for each in self.transactions.committed.levels.updates.values()]


@pytest.fixture
def drift() -> Drift:
    return Drift()


def pin(factor: float = 1.07) -> PinLevel:
    return PinLevel(dataset=DATASET.name, actor="ada", factor=factor)


async def test_each_command_has_one_reply(drift: Drift) -> None:
    """In their order, also if they are read again. Those of other services are left to them."""
    drift.send("a", pin())
    drift.send("b", AcceptLevel(dataset=DATASET.name, actor="ada"))
    drift.send("c", Promote(dataset=DATASET.name, actor="ada", version=2))
    drift.send("d", ResetLevel(dataset=DATASET.name, actor="ada"))
    drift.pending = PendingCommands("drift", COMMAND_TYPES, 0)
    for _ in range(2):
        await drift.handle()
    assert [(each.TYPE, each.command) for each in drift.replies] == [
        (CommandAccepted.TYPE, "a"), (CommandRefused.TYPE, "b"), (CommandAccepted.TYPE, "d"),
    ]  # fmt: skip
    assert drift.outcomes == [(1, "pinned"), (1, "reset")]


async def test_a_command_that_was_sent_while_drift_was_down_is_refused(drift: Drift) -> None:
    """Nobody waits for it any more."""
    drift.send("a", pin())
    drift.restart()
    await drift.handle()
    (reply,) = drift.replies
    assert isinstance(reply, CommandRefused)
    assert reply.reason == "it was sent while drift was down"


@pytest.mark.failure("F467")
@pytest.mark.parametrize("place", ["drift.decided", "drift.stored", "outbox.published", "drift.replied"])
async def test_a_kill_causes_no_second_effect_of_a_command(drift: Drift, place: str) -> None:
    """After the restart there is one update and one reply. Before the effect was stored, the command is refused."""

    def kill(name: str) -> None:
        if name == place:
            raise Killed

    drift.send("a", pin())
    drift.pending = PendingCommands("drift", COMMAND_TYPES, 0)
    fault_point.install(kill)
    try:
        with pytest.raises(Killed):
            await drift.handle()
    finally:
        fault_point.install(None)
    drift.restart()
    await drift.commands._publisher.publish_pending()
    await drift.handle()
    refused = place == "drift.decided"
    assert drift.outcomes == ([] if refused else [(1, "pinned")])
    assert {type(each) for each in drift.replies} == {CommandRefused if refused else CommandAccepted}


async def test_a_command_is_about_the_level_after_the_newest_batch(drift: Drift) -> None:
    """A new champion may not have followed it yet."""
    publish_batch(drift.log, DATASET, 1, 1, market_rows(LEARNT, count=200))
    drift.send("a", pin())
    drift.pending = PendingCommands("drift", COMMAND_TYPES, 0)
    await drift.handle()
    assert drift.outcomes == [(1, "moved"), (1, "pinned")]
