"""Keeps the level of the market of the champion: it follows each closed batch once, and the commands of people."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from veleta.clock import Clock
from veleta.commands import reply_event
from veleta.dataset import Dataset, MarketRule
from veleta.errors import Reject, Retry, StateLost
from veleta.events.catalogue import (
    AcceptLevel,
    BatchClosed,
    LevelUpdated,
    PeriodLevel,
    PinLevel,
    ResetLevel,
    SignedCommand,
)
from veleta.events.envelope import Event, Message, encode, trace_of
from veleta.faults import fault_point
from veleta.market_levels import LevelState, MarketLevels, first_day_of
from veleta.periods import first_day
from veleta.ports import Transactions
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.topics import topic
from veleta_drift.batch_sampler import BatchSampler, SampledBatch
from veleta_drift.domain import level_updates
from veleta_drift.domain.level_updates import LevelChange, after_batch, seen_periods
from veleta_drift.ports import SERVICE, DriftUnitOfWork, Model

_LAST = (2**31 - 1, 2**31 - 1)
"""A place after each batch."""
MAX_MISSED = 12
"""Of the batches that a champion missed, such as those that closed during its training, it follows the newest ones."""
log = structlog.get_logger()


@dataclass(frozen=True)
class _Version:
    """A version with a market, and its last update. `state` is the level after that, or at the end of its training."""

    model: Model
    market: MarketLevels
    last: LevelUpdated | None

    @property
    def key(self) -> tuple[int, str]:
        return self.model.number, self.model.run_id

    @property
    def state(self) -> LevelState:
        return LevelState.of_event(self.last) if self.last else self.market.state


@dataclass
class LevelKeeper:
    """Updates the level of the champion once for each batch and for each command, also after a kill at any place.

    A version without a market has no level. An update is stored with its event, which is published at once. If two
    workers update one version at a time, one of them gets a Retry.
    """

    _dataset: Dataset
    _rule: MarketRule
    _sampler: BatchSampler
    _manifests: Manifests
    _transactions: Transactions[DriftUnitOfWork]
    _publisher: OutboxPublisher
    _clock: Clock
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seq: int = 0
    """The last update of this process."""

    async def follow(self, manifest: BatchClosed, champion: Model | None) -> SampledBatch | None:
        """Follow the batches up to this one that the champion neither learnt nor followed.

        Returns this batch, if it was read for that.

        Raises:
            Retry: a dependency is unavailable, or another worker updates the level.
            StateLost: the table is behind what this process stored.
        """
        sample = None
        if champion is None or champion.market is None:
            return None
        async with self._lock:
            for each in await self._due(manifest, champion):
                sample = await self._follow(each, champion, champion.market)
        return sample

    async def follow_newest(self, champion: Model | None) -> None:
        """As `follow`, up to the batch that was closed last. A new champion needs no further batch then."""
        if manifest := await self._manifests.last():
            await self.follow(manifest, champion)

    async def obey(self, command_id: str, command: SignedCommand, champion: Model | None) -> str:
        """Apply a command, and store its reply with its effect. Returns the effect.

        Raises:
            Reject: the command is refused, for this reason.
            Retry, StateLost: as `follow`.
        """
        if champion is None or champion.market is None:
            raise Reject("there is no champion with a market")
        async with self._lock:
            version = await self._version(champion, champion.market)
            change, effect = _commanded(command, version)
            reason = command.reason or change.reason
            update = _update(self._dataset, version, change, command_id).model_copy(
                update={"reason": reason, "actor": command.actor}
            )
            fault_point("drift.decided")
            await self._store(version, update, f"{command_id}/level", effect)
        return effect

    async def _due(self, manifest: BatchClosed, champion: Model) -> list[BatchClosed]:
        """The batches to follow, in order. A training of an earlier release does not say what it learnt."""
        key = champion.number, champion.run_id
        place = manifest.epoch, manifest.number
        followed = await self._transactions.run(lambda uow: uow.levels.of_batches(*key, *_LAST, 1))
        passed = [(each.epoch or 0, each.number or 0) for each in followed]
        passed += [last] if (last := _learnt(champion)) else []
        if not passed:
            return [manifest]
        if place <= max(passed):
            return []
        newest = await self._manifests.newest(*place, MAX_MISSED)
        return [each for each in newest if (each.epoch, each.number) > max(passed)]

    async def _follow(self, manifest: BatchClosed, champion: Model, market: MarketLevels) -> SampledBatch | None:
        """Follow one batch. One whose rows cannot be read, or that has no clean row, shows nothing."""
        version, sample = await self._version(champion, market), None
        if await self._is_copy(manifest, version):
            change = LevelChange(version.state, "copy", "its rows were seen before")
        else:
            try:
                sample = await self._sampler.read(manifest)
            except Reject as error:
                log.warning("the level does not follow a batch", batch=manifest.batch, reason=str(error))
                return None
            seen = await asyncio.to_thread(self._seen, version, sample)
            if not seen:
                return sample
            change = after_batch(market, version.state, seen, self._rule)
        cause, event_id = f"{manifest.batch}/closed", f"{manifest.batch}/level/{champion.number}"
        place = {"epoch": manifest.epoch, "number": manifest.number, "digest": manifest.digest}
        update = _update(self._dataset, version, change, cause).model_copy(update=place)
        fault_point("drift.decided")
        await self._store(version, update, event_id)
        return sample

    def _seen(self, version: _Version, sample: SampledBatch) -> list[level_updates.SeenPeriod]:
        logarithms, _ = sample.predicted_by(version.model)
        return seen_periods(self._dataset, version.market, sample.rows, logarithms)

    async def _is_copy(self, manifest: BatchClosed, version: _Version) -> bool:
        """Whether the version followed the same rows before, or learnt them in the epoch before."""
        if await self._transactions.run(lambda uow: uow.levels.has_digest(*version.key, manifest.digest)):
            return True
        copied, learnt = await self._manifests.copied(manifest), _learnt(version.model)
        return copied is not None and learnt is not None and (copied.epoch, copied.number) <= learnt

    async def _version(self, champion: Model, market: MarketLevels) -> _Version:
        last = await self._transactions.run(lambda uow: uow.levels.last(champion.number, champion.run_id))
        return _Version(champion, market, last)

    async def _store(self, version: _Version, update: LevelUpdated, event_id: str, effect: str = "") -> None:
        """Store an update with its event, and the reply if it is that of a command, and publish both."""
        now, trace = self._clock(), trace_of(update.cause.removesuffix("/closed"))

        def transaction(uow: DriftUnitOfWork) -> int:
            last_seq = uow.levels.last_seq()
            if last_seq < self._seq:
                raise StateLost(f"the last update of the level is {last_seq}, not {self._seq}")
            if uow.levels.exists(*version.key, update.cause):
                return last_seq
            last = uow.levels.last(*version.key)
            if (last.seq if last else 0) != version.state.seq:
                raise Retry("mysql", "another worker has updated the level")
            numbered = update.model_copy(update={"seq": last_seq + 1})
            uow.levels.insert(numbered, now)
            event = Event(event_id, SERVICE, now, numbered, cause=update.cause, trace=trace)
            uow.outbox.append(encode(topic(self._dataset.name, "levels"), event))
            if effect:
                uow.outbox.append(self._reply(update.cause, effect, now))
            return numbered.seq

        self._seq = await self._transactions.run(transaction)
        fault_point("drift.stored")
        await self._publisher.publish_pending()
        log.info("level", version=update.version, outcome=update.outcome, reason=update.reason)

    def _reply(self, command_id: str, effect: str, at: datetime) -> Message:
        reply = reply_event(self._dataset.name, SERVICE, command_id, effect, accepted=True, time=at)
        return encode(topic(self._dataset.name, "commands"), reply)


def _learnt(model: Model) -> tuple[int, int] | None:
    """The newest batch that a version learnt."""
    return model.reference.last if model.reference else None


def _update(dataset: Dataset, version: _Version, change: LevelChange, cause: str) -> LevelUpdated:
    """The event of a change. Its `seq` is that of the version's last one, until it is stored."""
    state = change.state
    return LevelUpdated(
        model=dataset.name,
        version=version.model.number,
        run_id=version.model.run_id,
        seq=max(1, version.state.seq),
        period=first_day_of(state.as_of, version.market.every),
        as_of=state.as_of,
        value=state.level.value,
        error=state.level.error,
        slope=state.level.slope,
        rows=change.rows,
        outcome=change.outcome,
        reason=change.reason,
        cause=cause,
        seen=change.seen.mean if change.seen else None,
        seen_error=change.seen.error if change.seen else None,
        waiting=state.waiting.mean if state.waiting else None,
        waiting_error=state.waiting.error if state.waiting else None,
        waiting_as_of=state.waiting_as_of,
        earlier=[
            PeriodLevel(period=first_day(number, version.market.every), value=level.value, error=level.error)
            for number, level in change.earlier
        ],
        pinned=state.pinned,
    )


def _commanded(command: SignedCommand, version: _Version) -> tuple[LevelChange, str]:
    """What a command does to the level, and its effect for people. Raises Reject if it is refused."""
    state, name, since = version.state, f"the level of version {version.model.number}", version.market.since
    match command:
        case PinLevel(factor=factor):
            change = level_updates.pinned(state, factor)
            if change.state == state:
                raise Reject(f"{name} is already pinned at {factor:g}")
            return change, f"{name} is pinned at {factor:g} times the prices of {since}"
        case AcceptLevel():
            found = level_updates.accepted(state)
            if found is None:
                raise Reject(f"{name} waits for nothing")
            return found, f"{name} is accepted: {found.reason}"
        case ResetLevel() if version.last is None:
            raise Reject(f"{name} is that of its training")
        case ResetLevel():
            change = level_updates.reset(version.market)
            return change, f"{name} is {change.reason}"
        case _:
            raise Reject(f"drift does not handle {command.TYPE}")
