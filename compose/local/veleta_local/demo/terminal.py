"""Prints the demo: messages in the order of their times and, on a terminal, a live block below them."""

import os
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from veleta.clock import Clock
from veleta.printable import printable
from veleta_local.demo.event_messages import Level, Message
from veleta_local.demo.message_queue import DELAY, MessageQueue
from veleta_local.demo.screen import Screen
from veleta_local.output import WARNING

STYLES: dict[Level, str] = {"info": "", "success": "green", "warning": "yellow", "error": "red", "detail": "dim"}
_SUBJECT_WIDTH, _INDENT = 14, 26
"""In characters. The text of a message begins after the time and the subject."""
_NARROW = 60
"""On a narrower terminal the text begins in a row of its own."""


class Terminal:
    """Standard output, which may be no terminal."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._queue = MessageQueue()
        self._screen = Screen(console) if console.is_terminal and not console.is_dumb_terminal else None

    @property
    def can_redraw(self) -> bool:
        """Whether blocks are shown."""
        return self._screen is not None

    @property
    def width(self) -> int:
        """In characters; it changes with the window."""
        return self._console.width

    def print_text(self, text: str) -> None:
        """Print text without wrapping it, and remove the block."""
        lines = printable(text).splitlines() or [""]
        self._print([Text(line, "bold yellow" if line.startswith(WARNING) else "") for line in lines], None)

    def add(self, message: Message) -> None:
        """Print a message with one of the next drawings, after those of earlier events."""
        self._queue.put(message)

    def draw(self, block: RenderableType) -> None:
        """Print what has waited long enough, and replace the block."""
        self._print(_lines(self._queue.take(self._clock() - DELAY)), block)

    def repaint(self) -> None:
        """Draw the whole screen next time, because another program wrote to it."""
        if self._screen:
            self._screen.repaint()

    def finish(self) -> None:
        """Print all that still waits, and remove the block."""
        self._print(_lines(self._queue.take(datetime.max.replace(tzinfo=self._clock().tzinfo))), None)

    def _print(self, lines: Sequence[RenderableType], block: RenderableType | None) -> None:
        if self._screen:
            self._screen.draw(lines, block)
            return
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Line:
    """A message with its time: one line in a file, and on a terminal as many rows as needed, without a broken word."""

    def __init__(self, message: Message) -> None:
        self._time = f"{message.at.astimezone():%H:%M:%S}"
        self._subject = printable(message.subject)
        self._text = Text(printable(" ".join(message.text.split())), STYLES[message.level])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = Text.assemble((f"{self._time}  ", "dim"), f"{self._subject:<{_SUBJECT_WIDTH}}  ")
        if options.no_wrap:
            yield head + self._text
        elif options.max_width < _NARROW:
            yield head
            yield Padding(self._text, (0, 0, 0, 2))
        else:
            first, *others = self._text.wrap(console, options.max_width - _INDENT, overflow="fold")
            yield head + first
            for row in others:
                yield Text(" " * _INDENT) + row


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """The terminal shows no typed characters in the block: a typed newline would move what is redrawn."""
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ else -1
    if not _in_foreground(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    silent = list(before)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        if _in_foreground(descriptor):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _in_foreground(descriptor: int) -> bool:
    """Whether this process is in the terminal's foreground. Another one that changes the terminal is suspended."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # no terminal, or a closed one
        return False


def _lines(messages: Sequence[Message]) -> list[RenderableType]:
    return [Line(message) for message in messages]
