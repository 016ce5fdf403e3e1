"""The poller's state and all its transitions. Each transition returns the next state.

             batch_published, with_finding,
             batch_missed, response_interrupted
                   ┌───────┐
                   ▼       │   data_ended                  polling_ended
    start ──────► POLLING ─┴──────────────► END_OF_DATA ──────────────────► ENDED
                   ▲                           │        (AT_END=stop)
                   └───────────────────────────┘
                         restart_requested (AT_END=restart): batch 0 of the next epoch is expected

`topic_read`, `batch_published` and `batch_missed` move the position forward. The poll mode decides whether a batch
is fetched: `mode_configured`, `command_handled`, `poll_started` and `poll_failed` change it.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from veleta.events.catalogue import Command, Pause, Poll, Resume
from veleta_poller.domain.sequence import BatchId, Placement, Position, TopicState, latest, place_batch

COMMAND_TYPES = (Poll, Pause, Resume)
"""The commands that the poller handles."""


class Phase(Enum):
    """What the poller does next."""

    POLLING = "fetch the next batch when the poll mode and the interval allow it"
    END_OF_DATA = "restart the API or end polling"
    ENDED = "nothing more is fetched"


@dataclass(frozen=True)
class PollMode:
    """`setting` is the value of POLLER_POLL that was applied last; `requested` counts the polls not yet started.

    `consumed`: the poll that runs was requested by command, and no pause has cancelled it.
    """

    __pydantic_config__ = ConfigDict(extra="ignore")  # the first version stored a counter of pauses too
    setting: Annotated[str, Field(alias="mode")] = "auto"
    paused: bool = False
    requested: Annotated[int, Field(alias="wanted")] = 0
    consumed: Annotated[bool, Field(exclude=True)] = False

    @property
    def allows_poll(self) -> bool:
        """Whether a batch may be fetched now."""
        return self.requested > 0 or not self.paused


@dataclass(frozen=True)
class Reply:
    """The reply to a command, by the command's id; `text` is the effect or the reason of the refusal."""

    command: str
    accepted: bool
    text: Annotated[str, Field(alias="words")]


@dataclass(frozen=True)
class Body:
    """How far the handling of a response got, by the name of its file. `attempts` to parse it have not returned.

    `refused`: batch.refused is in the topic, and the file belongs into the quarantine.
    """

    name: str = ""
    attempts: int = 0
    refused: bool = False


@dataclass(frozen=True)
class PollerState:
    """The state after the last transition. An alias is the key in `position.json`, as the first version wrote it.

    `restarted_after` is the epoch at whose end the poller restarted the API. `partial_received`: part of a response
    came after the last batch. `findings` belong into the next manifest. `largest_response` is the size in bytes of the
    largest response with a batch that was published. `replies` may not be in the topic yet. `topic` is what has been
    read of the topic `batches`: a start reads only what follows. `body` is the response that was handled last.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # an unknown key stops the poller
    position: Position = field(default_factory=Position)
    restarted_after: Annotated[int | None, Field(alias="restart_of")] = None
    partial_received: Annotated[bool, Field(alias="torn")] = False
    findings: Annotated[tuple[str, ...], Field(alias="notes")] = ()
    largest_response: Annotated[int, Field(alias="largest")] = 0
    poll_mode: Annotated[PollMode, Field(alias="tap")] = field(default_factory=PollMode)
    replies: tuple[Reply, ...] = ()
    topic: TopicState = field(default_factory=TopicState)
    body: Annotated[Body, Field(exclude_if=lambda body: body == Body())] = field(default_factory=Body)
    phase: Annotated[Phase, Field(exclude=True)] = Phase.POLLING

    @property
    def restarting(self) -> bool:
        """Whether the API was restarted and no batch of the new epoch has come yet."""
        return self.restarted_after == self.position.epoch

    @property
    def expected(self) -> BatchId:
        """The batch that is expected next."""
        return BatchId(self.position.epoch + 1, 0) if self.restarting else self.position.next

    def place(self, number: int, digest: str) -> Placement:
        """Where a received batch belongs."""
        return place_batch(self.position, number, digest, self.restarting)

    def topic_read(self, topic: TopicState) -> Self:
        """The topic was read. The later of both positions counts: the inbox or the topic may have been lost.

        If the topic is ahead, the poller was killed after it published this position, with all that came before it.
        """
        if topic.position.batch <= self.position.batch:
            return replace(self, position=latest(self.position, topic.position), topic=topic)
        findings = () if topic.position.digest else self.findings
        return replace(self, position=topic.position, topic=topic, partial_received=False, findings=findings)

    def response_published(self, size: int) -> Self:
        """A batch was published from a response of `size` bytes. Refused responses require no space for later ones."""
        return replace(self, largest_response=max(size, self.largest_response))

    def response_interrupted(self) -> Self:
        """Part of a successful response came: a batch may be lost."""
        return replace(self, partial_received=True)

    def parsing_started(self, name: str) -> Self:
        """The response is parsed now. If that ends the process, the attempt stays counted."""
        attempts = self.body.attempts if self.body.name == name else 0
        return replace(self, body=Body(name, attempts + 1))

    def parsing_ended(self) -> Self:
        """The process outlived it."""
        return replace(self, body=Body())

    def response_refused(self, name: str) -> Self:
        """The refusal of the response is in the topic."""
        return replace(self, body=Body(name, refused=True))

    def batch_published(self, batch: BatchId, digest: str, group: int | None, next_offset: int | None) -> Self:
        """The batch is in the topics, and `next_offset` follows its manifest. None: no record could hold it."""
        position = Position(*batch, digest)
        published = replace(self.topic, next_offset=next_offset or 0, position=position, group=group)
        topic = self.topic if next_offset is None else published
        return replace(self, position=position, topic=topic, partial_received=False, findings=())

    def batch_missed(self) -> Self:
        """The expected batch never came completely."""
        return replace(self, position=Position(*self.expected), partial_received=False)

    def with_finding(self, finding: str) -> Self:
        """The next batch has this finding, once. Empty: none."""
        return self if finding in ("", *self.findings) else replace(self, findings=(*self.findings, finding))

    def data_ended(self) -> Self:
        """The API has returned all batches."""
        return replace(self, phase=Phase.END_OF_DATA)

    def polling_ended(self) -> Self:
        """AT_END=stop: requested polls are dropped."""
        return replace(self._with_mode(requested=0), phase=Phase.ENDED)

    def restart_requested(self) -> Self:
        """AT_END=restart: a new epoch begins. A requested poll returned no batch, so it is requested again."""
        return replace(self.poll_failed(), phase=Phase.POLLING, restarted_after=self.position.epoch)

    def mode_configured(self, setting: str) -> Self:
        """Apply POLLER_POLL if it changed. Otherwise commands have the last word, also after a restart."""
        if setting == self.poll_mode.setting:
            return self
        return self._with_mode(setting=setting, paused=setting == "manual", requested=0)

    def poll_started(self) -> Self:
        """A request to the API begins. It uses one of the requested polls, if there is one."""
        requested = self.poll_mode.requested
        return self._with_mode(requested=max(0, requested - 1), consumed=requested > 0)

    def poll_failed(self) -> Self:
        """The poll returned no batch: request it again if it was requested and not cancelled by a pause."""
        return self._with_mode(requested=self.poll_mode.requested + self.poll_mode.consumed, consumed=False)

    def command_handled(self, command_id: str, command: Command, refusal: str) -> Self:
        """Apply the command unless there is a reason to refuse it. The reply is part of the same state."""
        state, effect = (self, refusal) if refusal else self._apply(command)
        return replace(state, replies=(*self.replies, Reply(command_id, not refusal, effect)))

    def replies_published(self, published: tuple[Reply, ...]) -> Self:
        """These replies are in the topic."""
        return replace(self, replies=tuple(reply for reply in self.replies if reply not in published))

    def _apply(self, command: Command) -> tuple[Self, str]:
        """The state after a command, and the effect in words."""
        match command:
            case Poll():
                state = self._with_mode(requested=self.poll_mode.requested + 1)
                return state, "the next batch is fetched now, if there is one"
            case Pause():
                state = self._with_mode(paused=True, requested=0, consumed=False)
                return state, "no batch is fetched until polling is resumed"
            case Resume():
                return self._with_mode(paused=False), "polling is resumed"
        raise AssertionError(f"the poller does not handle the command {command.TYPE}")

    def _with_mode(self, **changes: Any) -> Self:
        return replace(self, poll_mode=replace(self.poll_mode, **changes))
