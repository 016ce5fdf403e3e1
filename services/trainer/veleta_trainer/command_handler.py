"""Handles the commands of people: `retrain`, `promote`, `rollback` and `cancel`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from veleta.clock import Clock
from veleta.commands import PendingCommand, PendingCommands, read_to_end
from veleta.errors import Reject, Retry, StateLost, one_line
from veleta.events.catalogue import MAX_ID_LENGTH, Cancel, Promote, Retrain, Rollback, TrainerCommand
from veleta.faults import fault_point
from veleta.ports import DECISION, REJECTED, EventLog, Registry, Version
from veleta.processing.manifests import Manifests
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain import commanded_promotion
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.training import PromotionRow, Training
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import VersionChecker
from veleta_trainer.training_recorder import REQUESTED, TrainingRecorder
from veleta_trainer.training_workflow import TrainingWorkflow

COMMAND_TYPES = (Retrain, Promote, Rollback, Cancel)
"""The commands that the trainer handles."""
COMMAND_SECONDS = 0.1
"""The pause between two checks for commands."""
RETRY_SECONDS = 1.0
"""The pause after a command could not be handled, because a dependency or the lease is not available."""
log = structlog.get_logger()


@dataclass
class CommandHandler:
    """Gives each command one reply, and each accepted command one effect, also after a kill at any place.

    Only the trainer that holds the lease handles commands. It works under the lease of the workflow's last step, while
    the workflow waits or fits.
    """

    _dataset: str
    _pending: PendingCommands
    _event_log: EventLog
    _workflow: TrainingWorkflow
    _transactions: FencedTransactions
    _recorder: TrainingRecorder
    _aliases: Aliases
    _registry: Registry
    _checker: VersionChecker
    _manifests: Manifests
    _health: ServiceHealth
    _clock: Clock

    async def run(self) -> None:
        """Handle commands until the service stops."""
        while await self._health.wait(COMMAND_SECONDS):
            if not self._pending.due():
                continue
            try:
                async with self._workflow.exclusive:
                    await self.handle_due()
            except (Retry, StateLost) as error:
                log.info("commands wait", reason=str(error))
                await self._health.wait(RETRY_SECONDS)

    async def handle_due(self) -> None:
        """Handle the commands that have no reply, in their order.

        The replies of an earlier process, or of another trainer, are published and read first.

        Raises:
            Retry: a dependency is unavailable, another trainer holds the lease, or a training completes its decision.
                Commands without a reply stay due.
            StateLost: the tables may be behind the topics.
        """
        await self._transactions.check_lease()
        await self._recorder.publish()
        await read_to_end(self._pending, self._event_log, topic(self._dataset, "commands"), self._health.wait)
        for pending in self._pending.due():
            training = await self._active()
            if training and training.state in ("decided", "aliased"):
                raise Retry("trainer", "the training in progress completes its decision first")
            await self._handle(pending)

    async def _handle(self, pending: PendingCommand) -> None:
        sender = {"actor": pending.command.actor, "reason": pending.command.reason}
        try:
            await self._apply(pending)
        except (Retry, StateLost):
            raise
        except Exception as error:
            if not isinstance(error, Reject):
                log.exception("command failed", id=pending.id)
            refusal = str(error) if isinstance(error, Reject) else f"it failed: {one_line(error)}"
            await self._recorder.replied(pending.id, refusal, accepted=False)
            log.info("command refused", id=pending.id, refusal=refusal, **sender)
        else:
            log.info("command accepted", id=pending.id, **sender)
        fault_point("trainer.replied")
        await self._recorder.publish()
        self._pending.replied(pending.id)

    async def _apply(self, pending: PendingCommand) -> None:
        """Apply a command, and store its reply. Raises Reject with the reason if it is refused."""
        if len(f"{pending.id}{REQUESTED}") > MAX_ID_LENGTH:
            raise Reject("the id of the command is too long")
        if decided := await self._transactions.run(lambda uow: uow.promotions.of_request(pending.id)):
            await self._complete(decided)
            return
        if pending.sent_before_start:
            raise Reject("it was sent while the trainer was down")
        match pending.command:
            case Retrain():
                await self._retrain(pending)
            case Promote() as command:
                await self._promote(pending, command)
            case Rollback() as command:
                await self._roll_back(pending, command)
            case Cancel():
                await self._cancel(pending)

    async def _retrain(self, pending: PendingCommand) -> None:
        manifest = await self._manifests.last()
        if manifest is None:
            raise Reject("no batch is closed yet, so there is nothing to train on")
        active = await self._active()
        waiting = await self._transactions.run(lambda uow: uow.trainings.waiting())
        effect = f"a training is requested for batch {manifest.epoch}/{manifest.number}"
        if active:
            request = active.request
            effect += f"; it starts when the training for batch {request.epoch}/{request.number} has ended"
        if waiting:
            effect += f"; other waiting requests: {len(waiting)} (one training is for all of them)"
        await self._recorder.request_by_command(pending, manifest, effect)

    async def _promote(self, pending: PendingCommand, command: Promote) -> None:
        champion = await self._champion()
        if command.expect and command.expect != champion:
            now = f"version {champion}" if champion else "no version"
            raise Reject(f"{now} is the champion, not version {command.expect}")
        version = await self._version(command.version)
        if command.dry:
            await self._check_only(pending, version, champion)
        elif version.number == champion:
            await self._recorder.replied(pending.id, f"version {champion} is already the champion", accepted=True)
        else:
            await self._decide(pending, command, version, champion)

    async def _roll_back(self, pending: PendingCommand, command: Rollback) -> None:
        champion = await self._champion()
        line = commanded_promotion.champions(await self._transactions.run(lambda uow: uow.promotions.champions()))
        if len(line) <= 1:
            raise Reject(f"no version was the champion before version {champion}" if champion else "there is none")
        await self._decide(pending, command, await self._version(line[-2]), champion)

    async def _cancel(self, pending: PendingCommand) -> None:
        if await self._active() is None:
            raise Reject("no training is in progress")
        await self._workflow.interrupt()
        fault_point("trainer.interrupted")
        training = await self._active()
        if training is None:
            raise Reject("the training has just failed")
        batch = f"{training.request.epoch}/{training.request.number}"
        if training.version:
            raise Reject(f"the training for batch {batch} has already registered version {training.version}")
        await self._recorder.cancelled(training, pending, f"the training for batch {batch} is cancelled")

    async def _active(self) -> Training | None:
        return await self._transactions.run(lambda uow: uow.trainings.active())

    async def _champion(self) -> int | None:
        """The champion. An alias that was moved by hand is a decision before this one."""
        await self._aliases.reconcile()
        return await self._aliases.champion_number()

    async def _version(self, number: int) -> Version:
        version = await asyncio.to_thread(self._registry.version, number)
        if version is None:
            raise Reject(f"there is no version {number}")
        return version

    async def _check_only(self, pending: PendingCommand, version: Version, champion: int | None) -> None:
        checks, gates = await self._checker.check(version), await self._gates(version)
        if _failed(checks):
            raise Reject(f"version {version.number} would not be promoted:{_listed(checks)}{gates}")
        would = "is already the champion" if version.number == champion else "would be promoted"
        effect = f"version {version.number} {would}:{_listed(checks)}{gates}"
        await self._recorder.replied(pending.id, effect, accepted=True)

    async def _gates(self, version: Version) -> str:
        """What the gates found at the training of a version, one a line. A person may promote it all the same."""
        request_id = version.tags.get("request_id", "")
        decided = await self._transactions.run(lambda uow: uow.promotions.of_request(request_id))
        if decided is None or not decided.gates:
            return ""
        against = f"compared it with version {decided.previous}" if decided.previous else "had no champion"
        return "".join([f"\nits training {against}:", *(f"\n  {gate}" for gate in decided.gates)])

    async def _decide(
        self, pending: PendingCommand, command: TrainerCommand, version: Version, champion: int | None
    ) -> None:
        """Check a version, and make it the champion."""
        if failed := _failed(await self._checker.check(version)):
            raise Reject(f"version {version.number} is not promoted:{_listed(failed)}")
        decision = commanded_promotion.promotion(command, pending.id, version.number, champion, self._clock())
        decided = await self._recorder.decided_by_command(decision)
        fault_point("trainer.commanded")
        before = version.tags.get(DECISION, "")
        await self._complete(decided, f" (its training: {before})" if before.startswith(REJECTED) else "")

    async def _complete(self, decided: PromotionRow, note: str = "") -> None:
        """Move the aliases after a stored decision, unless there was a later one, and publish it."""
        champion = await self._transactions.run(lambda uow: uow.promotions.champion())
        if champion and champion.seq == decided.seq:
            await self._aliases.move(decided)
        version = await asyncio.to_thread(self._registry.version, decided.version)
        instead = f"instead of version {decided.previous}" if decided.previous else "; there was none before"
        effect = f"version {decided.version} is the champion {instead}{note}"
        await self._recorder.promoted_by_command(version, decided, effect)


def _failed(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if not check.passed]


def _listed(checks: Sequence[Check]) -> str:
    """The checks, one a line, after the line that introduces them. A single one stays in that line."""
    if len(checks) == 1:
        return f" {checks[0]}"
    return "".join(f"\n  {check}" for check in checks)
