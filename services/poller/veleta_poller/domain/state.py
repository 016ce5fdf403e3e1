"""The poller's state and all its transitions. Each transition returns the next state.

             batch_published, repeat_ignored,
             batch_missed, response_interrupted
                   ┌───────┐
                   ▼       │   data_ended                  polling_ended
    start ──────► POLLING ─┴──────────────► END_OF_DATA ──────────────────► ENDED
                   ▲                           │        (AT_END=stop)
                   └───────────────────────────┘
                         restart_requested (AT_END=restart): batch 0 of the next epoch is expected

Two parts of the state change beside these phases. `position_loaded` finds the last batch, which `batch_published` and
`batch_missed` move forward. The poll mode allows or delays the next poll: `mode_configured`, `command_handled`,
`poll_started`, `poll_failed`. Everything but the phase is stored, so a restarted poller begins in POLLING.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from veleta.events.catalogue import Command
from veleta_poller.domain.poll_mode import PollMode
from veleta_poller.domain.sequence import BatchId, Placement, Position, latest, place_batch


class Phase(Enum):
    """What the poller does next."""

    POLLING = "fetch the next batch when the poll mode and the interval allow it"
    END_OF_DATA = "restart the API or end polling"
    ENDED = "nothing more is fetched"


@dataclass(frozen=True)
class Reply:
    """The reply to a command, by the command's id; `text` is the effect or the reason of the refusal."""

    command: str
    accepted: bool
    text: str


@dataclass(frozen=True)
class PollerState:
    """The state after the last transition.

    `restarted_after` is the epoch at whose end the poller restarted the API. `partial_received`: part of a response
    came after the last batch. `findings` belong into the next manifest. `largest_response` is in bytes. `replies` may
    not be in the topic yet.
    """

    position: Position = field(default_factory=Position)
    restarted_after: int | None = None
    partial_received: bool = False
    findings: tuple[str, ...] = ()
    largest_response: int = 0
    poll_mode: PollMode = field(default_factory=PollMode)
    replies: tuple[Reply, ...] = ()
    phase: Phase = Phase.POLLING

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

    def position_loaded(self, published: Position) -> Self:
        """The topics were read. The later of both positions counts: the inbox or a topic may have been lost."""
        return replace(self, position=latest(self.position, published))

    def response_received(self, size: int) -> Self:
        """A complete response of `size` bytes is in the inbox."""
        return replace(self, largest_response=max(size, self.largest_response))

    def response_interrupted(self) -> Self:
        """Part of a successful response came: a batch may be lost."""
        return replace(self, partial_received=True)

    def batch_published(self, batch: BatchId, digest: str) -> Self:
        """The batch is in the topics, or refused because no record can hold it."""
        return replace(self, position=Position(*batch, digest), partial_received=False, findings=())

    def batch_missed(self) -> Self:
        """The expected batch never came completely."""
        return replace(self, position=Position(*self.expected), partial_received=False)

    def repeat_ignored(self, finding: str) -> Self:
        """The API returned the last batch again."""
        return self if finding in self.findings else replace(self, findings=(*self.findings, finding))

    def data_ended(self) -> Self:
        """The API has returned all batches."""
        return replace(self, phase=Phase.END_OF_DATA)

    def polling_ended(self) -> Self:
        """AT_END=stop: requested polls are dropped."""
        return replace(self, phase=Phase.ENDED, poll_mode=replace(self.poll_mode, requested=0))

    def restart_requested(self) -> Self:
        """AT_END=restart: a new epoch begins. A requested poll returned no batch, so it is requested again."""
        restarted_after = self.position.epoch
        return replace(self.poll_failed(), phase=Phase.POLLING, restarted_after=restarted_after)

    def mode_configured(self, setting: str) -> Self:
        """The process started with this value of POLLER_POLL."""
        return replace(self, poll_mode=self.poll_mode.configure(setting))

    def poll_started(self) -> Self:
        """A request to the API begins."""
        return replace(self, poll_mode=self.poll_mode.consume())

    def poll_failed(self) -> Self:
        """The API did not get the request, or it had no batch."""
        return replace(self, poll_mode=self.poll_mode.restore())

    def command_handled(self, command_id: str, command: Command, refusal: str) -> Self:
        """Apply the command unless there is a reason to refuse it. The reply is part of the same state."""
        mode, effect = (self.poll_mode, refusal) if refusal else self.poll_mode.apply(command)
        reply = Reply(command_id, accepted=not refusal, text=effect)
        return replace(self, poll_mode=mode, replies=(*self.replies, reply))

    def replies_published(self, published: tuple[Reply, ...]) -> Self:
        """These replies are in the topic."""
        return replace(self, replies=tuple(reply for reply in self.replies if reply not in published))
