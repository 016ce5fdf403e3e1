"""Structured logs: plain lines on a terminal, JSON elsewhere."""

import logging
import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from types import TracebackType

import structlog

from veleta.printable import printable

TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Exceptions as JSON, without the values of variables: they may hold passwords."""


_PLAIN_LINES = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)

FIRST_PAUSE, MAX_PAUSE = 1.0, 600.0
"""Seconds before a message of a library is logged again: at first, and at most. Each pause is twice the last."""
MAX_MESSAGES = 1_000
"""Different messages of libraries that are remembered. Then all are forgotten."""


class RepeatFilter(logging.Filter):
    """Passes a message of a library when it first occurs, and its repetitions at growing intervals.

    Two messages are the same if they differ only in their arguments. After MAX_PAUSE without it a message is new.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._messages: dict[tuple[str, int, str], _Repeated] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged. It says how many were left out before it."""
        key, now = (record.name, record.levelno, str(record.msg)), time.monotonic()
        with self._lock:
            if len(self._messages) >= MAX_MESSAGES:
                self._messages.clear()
            repeated = self._messages.get(key)
            if repeated is None or now - repeated.last > MAX_PAUSE:
                repeated = self._messages[key] = _Repeated()
            repeated.last = now
            if now < repeated.due:
                repeated.left_out += 1
                return False
            if repeated.left_out:
                record.msg = f"{record.msg} (and {repeated.left_out} more since the last such line)"
            repeated.pause = min(2 * repeated.pause, MAX_PAUSE) or FIRST_PAUSE
            repeated.due, repeated.left_out = now + repeated.pause, 0
        return True


@dataclass
class _Repeated:
    """One message: when it came last, when it is logged again, the pause before that, and how many were left out."""

    last: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    left_out: int = 0


def configure_logging(service: str) -> None:
    """Configure structlog and the standard `logging` for this process. Both write the same format to stderr.

    No value in a line can send commands to a terminal: JSON is ASCII here, and other text is made printable.
    Libraries repeat a line many times a second, as while a topic does not exist: these lines are limited.
    """
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [_PLAIN_LINES, _printable_line] if terminal else [TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            foreign_pre_chain=shared,
        )
    )
    handler.addFilter(RepeatFilter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # It warns about every 0.1 s without a poll; compression takes that long.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    structlog.contextvars.bind_contextvars(service=service, pid=os.getpid())
    sys.excepthook = _print_exception


def _printable_line(_logger: object, _method: str, line: structlog.typing.EventDict) -> str:
    return printable(str(line))


def _print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))
