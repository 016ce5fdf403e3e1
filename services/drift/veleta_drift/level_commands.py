"""Handles the commands about the level of the market."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from veleta.clock import Clock
from veleta.commands import PendingCommand, PendingCommands, read_to_end, reply_event
from veleta.errors import Reject, Retry, StateLost, one_line
from veleta.events.catalogue import MAX_ID_LENGTH, AcceptLevel, LevelCommand, PinLevel, ResetLevel
from veleta.events.envelope import encode
from veleta.faults import fault_point
from veleta.ports import EventLog, Transactions
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_drift.level_keeper import LevelKeeper
from veleta_drift.ports import SERVICE, DriftUnitOfWork, Models

COMMAND_TYPES = (PinLevel, AcceptLevel, ResetLevel)
COMMANDS, LEVEL = "commands", "level"
"""The loops of this part, as /readyz and the log name them."""
WATCH_SECONDS = 0.2
"""The pause between two looks for commands."""
RETRY_SECONDS = 1.0
"""The pause after a dependency was unavailable."""
log = structlog.get_logger()


@dataclass
class LevelCommands:
    """Gives each command one reply, and each accepted command one effect, also after a kill at any place.

    Of several workers only the active one does, to which Kafka has assigned the batches.
    """

    _dataset: str
    _event_log: EventLog
    _keeper: LevelKeeper
    _models: Models
    _transactions: Transactions[DriftUnitOfWork]
    _publisher: OutboxPublisher
    _health: ServiceHealth
    _clock: Clock
    _is_active: Callable[[], bool]

    async def run(self) -> None:
        """Follow the topic until the service stops. Commands that are there at first were sent before the start."""
        commands = topic(self._dataset, "commands")
        pending = PendingCommands(SERVICE, COMMAND_TYPES, await self._end_of(commands))
        self._health.set_available(COMMANDS)
        follow = partial(tail, [commands], self._event_log, self._health, pending.on_records)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._health.keep_running(COMMANDS, follow))
            group.create_task(self._health.keep_running(LEVEL, partial(self._watch, pending)))

    async def handle_due(self, pending: PendingCommands) -> None:
        """Handle the commands that have no reply, in their order.

        The replies of an earlier process, or of another worker, are published and read first.

        Raises:
            Retry: a dependency is unavailable. Commands without a reply stay due.
            StateLost: the tables may be behind the topics.
        """
        if pending.due():
            await self._publisher.publish_pending()
            await read_to_end(pending, self._event_log, topic(self._dataset, "commands"), self._health.wait)
        for each in pending.due():
            await self._handle(each)
            fault_point("drift.replied")
            await self._publisher.publish_pending()
            pending.replied(each.id)

    async def _watch(self, pending: PendingCommands) -> None:
        while await self._health.wait(WATCH_SECONDS):
            if not self._is_active():
                continue
            try:
                await self.handle_due(pending)
            except (Retry, StateLost) as error:
                log.info("commands wait", reason=str(error))
                await self._health.wait(RETRY_SECONDS)

    async def _end_of(self, name: str) -> int:
        bounds = await self._health.retry_until_available(partial(asyncio.to_thread, self._event_log.bounds, name))
        return sum(end for _, end in bounds.values())

    async def _handle(self, pending: PendingCommand) -> None:
        try:
            effect = await self._apply(pending)
        except (Retry, StateLost):
            raise
        except Exception as error:
            if not isinstance(error, Reject):
                log.exception("command failed", id=pending.id)
            refusal = str(error) if isinstance(error, Reject) else f"it failed: {one_line(error)}"
            reply = reply_event(self._dataset, SERVICE, pending.id, refusal, accepted=False, time=self._clock())
            message = encode(topic(self._dataset, "commands"), reply)
            await self._transactions.run(lambda uow: uow.outbox.append(message))
            log.info("command refused", id=pending.id, refusal=refusal)
        else:
            log.info("command accepted", id=pending.id, effect=effect)

    async def _apply(self, pending: PendingCommand) -> str:
        command = pending.command
        if not isinstance(command, LevelCommand):
            raise Reject(f"drift does not handle {command.TYPE}")
        if len(f"{pending.id}/accepted") > MAX_ID_LENGTH:
            raise Reject("the id of the command is too long")
        if pending.sent_before_start:
            raise Reject("it was sent while drift was down")
        champion = await asyncio.to_thread(self._models.champion)
        await self._keeper.follow_newest(champion)
        return await self._keeper.obey(pending.id, command, champion)
