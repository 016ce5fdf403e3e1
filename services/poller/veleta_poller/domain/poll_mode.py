"""The poll mode: whether batches are fetched automatically, and how many were requested by command."""

from dataclasses import dataclass, replace
from typing import Self

from veleta.events.catalogue import Command, Pause, Poll, Resume

COMMAND_TYPES = (Poll, Pause, Resume)
"""The commands that change the poll mode."""


@dataclass(frozen=True)
class PollMode:
    """`setting` is the value of POLLER_POLL that was applied last; `requested` counts the polls not yet started.

    `consumed`: the poll that runs was requested by command, and no pause has cancelled it. It is not stored.
    """

    setting: str = "auto"
    paused: bool = False
    requested: int = 0
    consumed: bool = False

    @property
    def allows_poll(self) -> bool:
        """Whether a batch may be fetched now."""
        return self.requested > 0 or not self.paused

    def configure(self, setting: str) -> Self:
        """Apply the setting if it changed. Otherwise commands have the last word, also after a restart."""
        if setting == self.setting:
            return self
        return replace(self, setting=setting, paused=setting == "manual", requested=0)

    def apply(self, command: Command) -> tuple[Self, str]:
        """The mode after a command, and its effect in words."""
        match command:
            case Poll():
                return replace(self, requested=self.requested + 1), "the next batch is fetched now, if there is one"
            case Pause():
                paused = replace(self, paused=True, requested=0, consumed=False)
                return paused, "no batch is fetched until polling is resumed"
            case Resume():
                return replace(self, paused=False), "polling is resumed"
        raise AssertionError(f"the poller does not handle the command {command.TYPE}")

    def consume(self) -> Self:
        """A poll starts. It uses one of the requested polls, if there is one."""
        return replace(self, requested=max(0, self.requested - 1), consumed=self.requested > 0)

    def restore(self) -> Self:
        """The poll returned no batch: request it again if it was requested and not cancelled by a pause."""
        return replace(self, requested=self.requested + self.consumed, consumed=False)
