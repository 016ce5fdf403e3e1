"""Handle responses of the API and commands."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import prometheus_client
import structlog

from veleta.commands import PendingCommand, PendingCommands
from veleta.dataset import Dataset
from veleta.errors import MAX_REASON_LENGTH, Reject
from veleta.faults import fault_point
from veleta.processing.dead_letters import MAX_CONSECUTIVE, ConsecutiveDeadLetters
from veleta.service.health import ServiceHealth
from veleta_poller.api_status import ApiStatus
from veleta_poller.domain.findings import group_finding
from veleta_poller.domain.refusals import describe_fatal, describe_large, with_beginning
from veleta_poller.domain.responses import Batch, EndOfData, InvalidResponse, Response, parse_response
from veleta_poller.domain.sequence import BatchId, Placement
from veleta_poller.domain.state import Body, Phase, PollerState
from veleta_poller.ports import Inbox, StoredResponse
from veleta_poller.state_store import StateStore
from veleta_poller.topics import Topics

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()
RESPONSES = prometheus_client.Counter("veleta_poller_responses", "responses of the data API, by outcome", ["outcome"])
ROWS = prometheus_client.Counter("veleta_poller_rows", "rows of published batches")
MAX_PARSE_ATTEMPTS = 3
"""A response is refused if the process ended this often while it parsed it, as by a limit of its memory."""
COMMAND_SECONDS = 0.2
"""The pause between two checks for commands."""


class ResponseHandler:
    """Publishes, ignores or refuses each response in the inbox, and removes it from there."""

    def __init__(
        self,
        dataset: Dataset,
        group: int,
        max_body: int,
        inbox: Inbox,
        topics: Topics,
        store: StateStore,
        api_status: ApiStatus,
        health: ServiceHealth,
    ) -> None:
        """A response of more than `max_body` bytes is refused."""
        self._dataset = dataset
        self._group = group
        self._max_body = max_body
        self._inbox = inbox
        self._topics = topics
        self._store = store
        self._api_status = api_status
        self._health = health
        self._consecutive = ConsecutiveDeadLetters()
        self._fetched: StoredResponse | None = None

    async def load_position(self) -> None:
        """Find the last batch: the inbox or the topics may be ahead of the other, or recreated. Raises Retry."""
        topic = await asyncio.to_thread(self._topics.read_on, self._store.state.topic)
        await self._store.update(lambda state: state.topic_read(topic))

    async def handle_all(self, fetched: StoredResponse | None) -> None:
        """Handle every response in the inbox. `fetched` came just now; others were left by an earlier process."""
        self._fetched = fetched
        for stored in await self._on_disk(self._inbox.unpublished):
            response = fetched if fetched == stored else stored
            await self._health.retry_until_available(partial(self._handle, response))

    async def _on_disk(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Call the inbox, and wait for a disk that fails: what was done before this call is not repeated."""
        return await self._health.retry_until_available(partial(asyncio.to_thread, call, *args, **options))

    async def _handle(self, response: StoredResponse) -> None:
        """Handle one response. After Retry it is published again from its start, at the position in the topics."""
        await self.load_position()
        if self._store.state.body == Body(response.name, refused=True):
            await self._on_disk(self._inbox.quarantine, response)
            return
        parsed = await self._parse(response)
        if response == self._fetched:
            self._api_status.update(parsed)
        match parsed:
            case Batch() as batch:
                await self._handle_batch(response, batch)
            case EndOfData():
                await self._handle_end(response)
            case InvalidResponse(reason, finding):
                await self._refuse(
                    response, self._store.state.expected, reason, lambda state: state.with_finding(finding)
                )

    async def _parse(self, response: StoredResponse) -> Response:
        """Parse a response, unless that has ended the process too often: each attempt is counted before it begins."""
        if response.refusal:
            return InvalidResponse(response.refusal)
        if response.size > self._max_body:
            return InvalidResponse(describe_large(response.status, self._max_body))
        body = self._store.state.body
        if body.name == response.name and body.attempts >= MAX_PARSE_ATTEMPTS:
            return InvalidResponse(describe_fatal(response.size, body.attempts))
        await self._store.update(lambda state: state.parsing_started(response.name))
        fault_point("poller.parsing")
        try:
            return await asyncio.to_thread(self._parse_body, response)
        finally:
            await self._store.update(PollerState.parsing_ended)

    def _parse_body(self, response: StoredResponse) -> Response:
        body = self._inbox.read(response)
        try:
            return parse_response(response.status, body, self._group, self._dataset)
        except Exception as error:  # noqa: BLE001 - no response may stop the poller: it is refused instead
            return InvalidResponse(f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH])

    async def _handle_batch(self, response: StoredResponse, batch: Batch) -> None:
        placement = self._store.state.place(batch.number, batch.digest)
        if placement.repeated:
            await self._ignore(response, placement.finding)
            return
        self._fetched = None  # after Retry a repeat of this response is its own publication
        try:
            next_offset = await self._publish(placement, batch)
        except Reject as error:
            await self._refuse_unpublishable(response, placement.batch, batch.digest, error)
            return
        await self._store.update(
            lambda state: state.batch_published(
                placement.batch, batch.digest, batch.group, next_offset
            ).response_published(response.size)
        )
        fault_point("poller.saved")
        await self._on_disk(self._inbox.delete, response)

    async def _publish(self, placement: Placement, batch: Batch) -> int:
        """Publish a batch. Returns the offset after its manifest."""
        name, rows = f"{placement.batch.epoch}/{placement.batch.number}", len(batch.rows)
        self._health.set_activity(f"publishing batch {name} ({rows} rows)")
        state, irregular = self._store.state, [placement.finding] if placement.finding else []
        grouped = group_finding(state.topic.group, self._group, rows)
        findings = [*state.findings, *irregular, *grouped, *batch.findings]
        next_offset = await asyncio.to_thread(self._topics.publish_batch, placement, batch, findings)
        self._consecutive.reset()
        self._health.set_warning("api", "")
        RESPONSES.labels("batch").inc()
        ROWS.inc(rows)
        if placement.missed:
            log.warning(
                "batches missed", epoch=placement.batch.epoch, numbers=[missed.number for missed in placement.missed]
            )
        log.info("batch published", batch=name, rows=rows, findings=findings)
        self._health.set_activity(f"published batch {name} ({rows} rows)")
        return next_offset

    async def _ignore(self, response: StoredResponse, finding: str) -> None:
        """The rows are in the topics. Only a repeat by the API is a finding, not one after a crash."""
        if response == self._fetched:
            RESPONSES.labels("repeat").inc()
            log.warning("batch repeated", finding=finding)
            self._health.set_warning("api", finding)
            self._health.set_activity(finding)
            await self._store.update(lambda state: state.with_finding(finding))
        await self._on_disk(self._inbox.delete, response)

    async def _refuse_unpublishable(self, response: StoredResponse, batch: BatchId, digest: str, error: Reject) -> None:
        """The batch is in a dead letter. Too many in a row for one reason stop the poller."""
        await self._refuse(response, batch, str(error), lambda state: state.batch_published(batch, digest, None, None))
        self._consecutive.add(error.reason)
        if self._consecutive.limit_reached(error.reason):
            self._health.stop_consuming(f"{MAX_CONSECUTIVE} dead letters in a row for one reason: {error.reason}")

    async def _refuse(
        self,
        response: StoredResponse,
        batch: BatchId,
        reason: str,
        transition: Callable[[PollerState], PollerState],
    ) -> None:
        reason = with_beginning(reason, await self._on_disk(self._inbox.beginning, response))
        await asyncio.to_thread(self._topics.publish_refused, batch, reason, response)
        await self._store.update(lambda state: transition(state).response_refused(response.name))
        await self._on_disk(self._inbox.quarantine, response)
        RESPONSES.labels("refused").inc()
        log.warning("response refused", reason=reason, body=response.name)
        self._health.set_activity(f"refused a response: {reason}")

    async def _handle_end(self, response: StoredResponse) -> None:
        """A partial response before the end was the last batch: no later number shows that it was missed."""
        RESPONSES.labels("end").inc()
        if self._store.state.partial_received:
            batch = self._store.state.expected
            reason = "its response was interrupted, and the end of the data followed"
            await asyncio.to_thread(self._topics.publish_missed, batch, reason)
            log.warning("batches missed", epoch=batch.epoch, numbers=[batch.number])
            await self._store.update(PollerState.batch_missed)
        await self._on_disk(self._inbox.delete, response)
        self._health.set_activity("at the end of the data")
        await self._store.update(PollerState.data_ended)


class CommandHandler:
    """Applies commands and publishes one reply to each, also while a batch is being fetched or published."""

    def __init__(self, pending: PendingCommands, topics: Topics, store: StateStore, health: ServiceHealth) -> None:
        self._pending = pending
        self._topics = topics
        self._store = store
        self._health = health

    async def run(self) -> None:
        """Handle commands until the service stops. First publish the replies that an earlier process stored."""
        handled = {reply.command for reply in self._store.state.replies}
        await self._health.retry_until_available(self._publish_replies)
        while await self._health.wait(COMMAND_SECONDS):
            for pending in self._pending.take_due():
                if pending.id not in handled:
                    handled.add(pending.id)
                    await self._handle(pending)
                    await self._health.retry_until_available(self._publish_replies)

    async def _handle(self, pending: PendingCommand) -> None:
        refusal = "it was sent while the poller was down" if pending.sent_before_start else self._refusal
        await self._store.update(lambda state: state.command_handled(pending.id, pending.command, refusal))
        sender = {"actor": pending.command.actor, "address": pending.command.address}
        log.info("command", id=pending.id, **sender, accepted=not refusal, reason=refusal)

    @property
    def _refusal(self) -> str:
        """Why no command can take effect. Empty if commands are accepted."""
        if self._health.stop_reason:
            return f"the poller has stopped: {self._health.stop_reason}"
        return "the API has returned all batches (AT_END=stop)" if self._store.state.phase is Phase.ENDED else ""

    async def _publish_replies(self) -> None:
        if replies := self._store.state.replies:
            await asyncio.to_thread(self._topics.publish_replies, replies)
            await self._store.update(lambda state: state.replies_published(replies))
