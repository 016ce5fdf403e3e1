"""What the poller does: one GET, its answer to the topics, a pause.

room on the disk ─► GET to the inbox ─► parse ─► decide ─► publish ─► forget the file
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Protocol

import prometheus_client
import structlog

from veleta.commands import PendingCommand, PendingCommands
from veleta.dataset import Dataset
from veleta.errors import MAX_REASON_LENGTH, Reject, Retry
from veleta.faults import fault_point
from veleta.processing.dead_letters import MAX_CONSECUTIVE, ConsecutiveDeadLetters
from veleta.service.health import ServiceHealth
from veleta_poller.domain.answers import Answer, Batch, End, Refused, parse
from veleta_poller.domain.sequence import Position, Step, decide, further
from veleta_poller.domain.state import Body, Reply, State
from veleta_poller.domain.tap import Tap

log = structlog.get_logger()
ANSWERS = prometheus_client.Counter("veleta_poller_answers", "answers by what became of them", ["outcome"])
ROWS = prometheus_client.Counter("veleta_poller_rows", "rows published in closed batches")
SLICE_SECONDS = 0.2
"""A rest is taken in slices: a command may end it, and /livez sees that the loop lives."""


class Interrupted(Exception):
    """The API may have heard the question, and no whole answer came."""


class Closed(Exception):
    """The tap was closed before the API was asked."""


class Api(Protocol):
    """The data API."""

    async def take(self, arrived: Callable[[int], None]) -> Body:
        """Ask for the next batch, once: the answer, which lies in the inbox when this returns.

        `arrived` is called with the bytes so far while they come.

        Raises:
            Retry: no connection was made.
            Interrupted: no whole answer came; what came lies in the inbox as a part.
        """
        ...

    async def restart(self) -> None:
        """Ask the API to begin again with batch 0. Raises Retry when it did not say that it does."""
        ...


class Inbox(Protocol):
    """Answers on disk. Every method blocks; those that change something return when the change is durable."""

    def lock(self) -> None:
        """Hold the inbox until the process ends. Raises Retry when another process holds it."""
        ...

    def recall(self) -> State:
        """The state as it was kept. Raises Stop when it cannot be read."""
        ...

    def remember(self, state: State) -> None:
        """Keep the state."""
        ...

    def need_room(self, largest: int) -> None:
        """Raises Retry when there is no room for another body; `largest` is the largest seen, in bytes."""
        ...

    def keep_parts(self) -> bool:
        """Put aside what never arrived whole: whether some of it began as a good answer."""
        ...

    def waiting(self) -> list[Body]:
        """The answers that wait to be published, oldest first."""
        ...

    def text(self, body: Body) -> str:
        """The whole of an answer. Raises UnicodeDecodeError when it is no UTF-8."""
        ...

    def size(self, body: Body) -> int:
        """Bytes."""
        ...

    def keep(self, body: Body) -> None:
        """Put an answer aside, for people."""
        ...

    def discard(self, body: Body) -> None:
        """Forget an answer; harmless when it is no longer there."""
        ...


class Topics(Protocol):
    """What the poller says. Every method blocks and raises Retry when the broker is away."""

    def survey(self) -> Position:
        """Where the topics say that the poller stands; declares the dataset when its last declaration differs."""
        ...

    def publish(self, step: Step, batch: Batch, findings: list[str]) -> None:
        """A whole batch, from what was missed before it to its manifest.

        Raises:
            Reject: a part of it is larger than a record takes; the dead letter is published.
        """
        ...

    def refuse(self, place: tuple[int, int], reason: str, status: int, body: str) -> None:
        """Where batch `place` (epoch, number) was due an answer came that cannot be used; `body` names its file."""
        ...

    def miss(self, place: tuple[int, int], reason: str) -> None:
        """Batch `place` (epoch, number) never arrived whole."""
        ...

    def reply(self, replies: Sequence[Reply]) -> None:
        """What becomes of these commands."""
        ...


class Poller:
    """Takes batches until the service stops: by itself as long as the tap is open, and by command."""

    def __init__(
        self,
        dataset: Dataset,
        inbox: Inbox,
        api: Api,
        topics: Topics,
        health: ServiceHealth,
        at_end: Literal["restart", "stop"],
        poll: Literal["auto", "manual"],
        poll_every: float,
    ) -> None:
        self._dataset = dataset
        self._inbox = inbox
        self._api = api
        self._topics = topics
        self._health = health
        self._at_end = at_end
        self._poll = poll
        self._poll_every = poll_every
        self._sure = False
        self._fresh: Body | None = None
        self._consecutive = ConsecutiveDeadLetters()
        self._ended = False
        self._stands = asyncio.Event()
        self._asked_by = Tap()
        self._answered: set[str] = set()
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Hold the inbox, bring what lies in it to the topics, then take batch after batch."""
        await self._health.retry_until_available(partial(asyncio.to_thread, self._inbox.lock))
        self._state = self._inbox.recall()
        await self._health.retry_until_available(self._find_position)
        await self._remember(tap=self._state.tap.under(self._poll))
        self._stands.set()
        await self._keep_parts()
        await self._settle_waiting()
        self._health.set_activity("took nothing yet")
        seconds = 0.0
        while await self._rest(seconds):
            await self._take()
            await self._settle_waiting()
            seconds = self._poll_every
        while await self._health.sleep(SLICE_SECONDS):
            pass

    async def obey(self, desk: PendingCommands) -> None:
        """Answer commands, also while a batch is being taken, until the service stops."""
        await self._stands.wait()
        self._answered.update(reply.command for reply in self._state.replies)
        await self._health.retry_until_available(self._tell)
        while await self._health.sleep(SLICE_SECONDS):
            for asked in desk.due():
                if asked.id not in self._answered:
                    await self._turn(asked)
                    await self._health.retry_until_available(self._tell)

    @property
    def _closed(self) -> str:
        """Why no command can be followed, if so."""
        if self._health.stop_reason:
            return f"the poller takes nothing: {self._health.stop_reason}"
        return "all batches were handed out (AT_END=stop)" if self._ended else ""

    async def _turn(self, asked: PendingCommand) -> None:
        """The tap and the reply are kept together, before anybody hears of them or feels them."""

        def turned(state: State) -> State:
            tap, words = state.tap, "it was sent while the poller was down" if asked.late else self._closed
            accepted = not words
            if accepted:
                tap, words = tap.turned(asked.command)
            log.info("command", id=asked.id, actor=asked.command.actor, accepted=accepted, words=words)
            return replace(state, tap=tap, replies=(*state.replies, Reply(asked.id, accepted, words)))

        await self._change(turned)
        self._answered.add(asked.id)

    async def _tell(self) -> None:
        if replies := self._state.replies:
            await asyncio.to_thread(self._topics.reply, replies)
            await self._change(lambda s: replace(s, replies=tuple(r for r in s.replies if r not in replies)))

    async def _find_position(self) -> None:
        """Whichever is further on, the topics or the inbox, says where the poller stands."""
        position = await asyncio.to_thread(self._topics.survey)
        await self._change(lambda state: replace(state, position=further(state.position, position)))
        self._sure = True

    async def _keep_parts(self) -> None:
        if await asyncio.to_thread(self._inbox.keep_parts):
            await self._remember(torn=True)

    async def _take(self) -> None:
        """One GET; what came of it lies in the inbox."""
        self._health.set_activity("asking for the next batch")
        try:
            self._fresh = await self._health.retry_until_available(self._ask)
        except Closed:
            return
        except Interrupted as error:
            self._health.set_unavailable("api", str(error))
            self._health.set_activity("the answer broke off")
            await self._keep_parts()
            ANSWERS.labels("interrupted").inc()
            return
        fault_point("poller.answered")
        self._health.set_available("api")
        self._health.mark_started()
        size = await asyncio.to_thread(self._inbox.size, self._fresh)
        if size > self._state.largest:
            await self._remember(largest=size)

    async def _ask(self) -> Body:
        await asyncio.to_thread(self._inbox.need_room, self._state.largest)
        self._asked_by = tap = self._state.tap
        if not tap.open:
            raise Closed
        if tap.wanted:
            await self._change(lambda state: replace(state, tap=state.tap.served()))
        fault_point("poller.asking")
        try:
            return await self._api.take(
                lambda size: self._health.set_activity(f"taking a batch ({size >> 10} KiB so far)")
            )
        except Retry:
            await self._want_again()
            raise

    async def _want_again(self) -> None:
        """Nothing was asked, or the answer was the end: whoever wanted a batch still does."""
        if self._asked_by.wanted:
            await self._change(lambda state: replace(state, tap=state.tap.unserved(self._asked_by)))

    async def _settle_waiting(self) -> None:
        for body in await asyncio.to_thread(self._inbox.waiting):
            await self._health.retry_until_available(partial(self._settle, body))

    async def _settle(self, body: Body) -> None:
        """Bring one answer to its end. Raises Retry: publish it again from its start."""
        try:
            if not self._sure:
                await self._find_position()
            await self._act(body, await asyncio.to_thread(self._parse, body))
        except Retry:
            self._sure = False
            raise

    def _parse(self, body: Body) -> Answer:
        try:
            return parse(body.status, self._inbox.text(body), self._dataset)
        except Exception as error:  # noqa: BLE001 - whatever a body does to us, it is kept and the next one is taken
            return Refused(f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH])

    async def _act(self, body: Body, answer: Answer) -> None:
        match answer:
            case Batch():
                await self._continue(body, answer)
            case End():
                await self._end(body)
            case Refused(reason):
                await self._refuse(body, self._state.due, reason)

    async def _continue(self, body: Body, batch: Batch) -> None:
        state = self._state
        step = decide(state.position, batch.number, batch.digest, state.restarting)
        if step.kind == "repeat":
            await self._ignore(body, step)
            return
        self._fresh = None
        try:
            await self._publish(step, batch)
        except Reject as error:
            await self._give_up(body, step, error)
        await self._remember(position=Position(step.epoch, step.number, batch.digest), torn=False, notes=())
        fault_point("poller.remembered")
        await asyncio.to_thread(self._inbox.discard, body)

    async def _publish(self, step: Step, batch: Batch) -> None:
        name = f"batch {step.epoch}/{step.number} ({len(batch.rows)} rows)"
        self._health.set_activity(f"publishing {name}")
        findings = [*self._state.notes, *filter(None, [step.finding]), *batch.findings]
        await asyncio.to_thread(self._topics.publish, step, batch, findings)
        self._consecutive.reset()
        ANSWERS.labels("batch").inc()
        ROWS.inc(len(batch.rows))
        if step.missed:
            log.warning("missed", epoch=step.epoch, numbers=list(step.missed))
        log.info("took", batch=name, findings=findings)
        self._health.set_activity(f"took {name}")

    async def _ignore(self, body: Body, step: Step) -> None:
        """Its rows are in the topics: the API gave it twice, or a crash came before its file was removed."""
        if body == self._fresh:
            ANSWERS.labels("repeat").inc()
            log.warning("repeat", finding=step.finding)
            self._health.set_activity(step.finding)
            if step.finding not in self._state.notes:
                await self._remember(notes=(*self._state.notes, step.finding))
        await asyncio.to_thread(self._inbox.discard, body)

    async def _give_up(self, body: Body, step: Step, error: Reject) -> None:
        """The batch is dead-lettered: its body is kept, and the next one is taken, but for too many in a row."""
        await self._refuse(body, (step.epoch, step.number), str(error))
        self._consecutive.add(error.reason)
        if self._consecutive.limit_reached(error.reason):
            self._health.stop_consuming(f"{MAX_CONSECUTIVE} dead letters in a row for one reason: {error.reason}")

    async def _refuse(self, body: Body, place: tuple[int, int], reason: str) -> None:
        await asyncio.to_thread(self._topics.refuse, place, reason, body.status, body.name)
        await asyncio.to_thread(self._inbox.keep, body)
        ANSWERS.labels("refused").inc()
        log.warning("refused", reason=reason, body=body.name)
        self._health.set_activity(f"refused an answer: {reason}")

    async def _end(self, body: Body) -> None:
        """All batches were handed out. A part that came before was the last of them."""
        ANSWERS.labels("end").inc()
        if self._state.torn:
            due = self._state.due
            await asyncio.to_thread(self._topics.miss, due, "its answer broke off; then came the end of the data")
            log.warning("missed", epoch=due[0], numbers=[due[1]])
            await self._remember(position=Position(*due), torn=False)
        await asyncio.to_thread(self._inbox.discard, body)
        self._health.set_activity("at the end of the data")
        if self._at_end == "stop":
            self._ended = True
            await self._change(lambda state: replace(state, tap=replace(state.tap, wanted=0)))
            self._health.mark_started()
        else:
            await self._restart()

    async def _restart(self) -> None:
        """Announce a new epoch, on disk first: after a crash the next batch tells whether the API began it."""
        await self._remember(restart_of=self._state.position.epoch)
        await self._want_again()
        fault_point("poller.intent")
        await self._health.retry_until_available(self._api.restart)
        fault_point("poller.restarted")
        self._health.set_activity("restarted the API")

    async def _remember(self, **changes: Any) -> None:
        await self._change(lambda state: replace(state, **changes))

    async def _change(self, change: Callable[[State], State]) -> None:
        """The state changes when it is on the disk; one change at a time, since two tasks make them."""
        async with self._changing:
            changed = change(self._state)
            await asyncio.to_thread(self._inbox.remember, changed)
            self._state = changed

    async def _rest(self, seconds: float) -> bool:
        """Wait until a batch is due, by the clock or by hand: False when none will be any more."""
        did, until = self._health.activity, time.monotonic() + seconds
        while not (self._health.stopping.is_set() or self._ended or self._health.stop_reason):
            tap, left = self._state.tap, until - time.monotonic()
            if tap.wanted or (left <= 0 and tap.open):
                return True
            self._health.set_activity(f"{did}; {'paused' if tap.paused else f'next GET in {left:.0f} s'}")
            if tap.paused:
                self._health.mark_started()
            await self._health.sleep(SLICE_SECONDS if tap.paused else min(left, SLICE_SECONDS))
        return False
