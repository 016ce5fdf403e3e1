"""Structured logs: plain lines on a terminal, JSON elsewhere."""

import logging
import os
import sys

import structlog

TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Exceptions as JSON, without the values of variables: they may hold passwords."""


def configure_logging(service: str) -> None:
    """Configure structlog and the standard `logging` for this process. Both write the same format to stderr."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    errors: list[structlog.typing.Processor] = [] if terminal else [TRACEBACKS]
    structlog.configure(
        processors=[*shared, *errors, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # It warns about every 0.1 s without a poll; compression takes that long.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    structlog.contextvars.bind_contextvars(service=service, pid=os.getpid())
