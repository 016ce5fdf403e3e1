"""The tap: whether batches are taken by themselves, and which were asked for by hand."""

from dataclasses import dataclass, replace
from typing import Self

from veleta.events.catalogue import Command, Pause, Poll, Resume

TAKES = (Poll, Pause, Resume)
"""The commands that turn it."""


@dataclass(frozen=True)
class Tap:
    """`wanted` batches were asked for and not yet asked of the API; `mode` is the setting that it was opened under.

    `pauses` counts the commands that closed it: each of them cancels what was wanted before.
    """

    mode: str = "auto"
    paused: bool = False
    wanted: int = 0
    pauses: int = 0

    @property
    def open(self) -> bool:
        """Whether a batch may be asked of the API."""
        return self.wanted > 0 or not self.paused

    def under(self, mode: str) -> Self:
        """As it was left; under another setting than before, as that one says."""
        return self if mode == self.mode else replace(self, mode=mode, paused=mode == "manual", wanted=0)

    def turned(self, command: Command) -> tuple[Self, str]:
        """What a command makes of it, and what to say."""
        match command:
            case Poll():
                return replace(self, wanted=self.wanted + 1), "the next batch is taken now, if there is one"
            case Pause():
                closed = replace(self, paused=True, wanted=0, pauses=self.pauses + 1)
                return closed, "no further batch is taken until the poller is told to go on"
            case Resume():
                return replace(self, paused=False), "batches are taken again"
        raise AssertionError(f"{command.TYPE} is no command of the poller")

    def served(self) -> Self:
        """One of the wanted batches is about to be asked for."""
        return replace(self, wanted=max(0, self.wanted - 1))

    def unserved(self, before: Self) -> Self:
        """What was wanted at `before` was not got: it is wanted again, unless somebody paused since."""
        again = before.wanted > 0 and self.pauses == before.pauses
        return replace(self, wanted=self.wanted + 1) if again else self
