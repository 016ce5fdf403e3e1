"""The bounds of connections to every HTTP server of the project."""

import resource

MAX_CONNECTIONS = 1_000
"""The connections of one process. It has fewer if this is more than half of the files that it may open."""
HEAD_SECONDS = 75.0
"""A connection is closed after this long without a request, or with an incomplete head of one."""
UNREAD_SECONDS = 300.0
"""A connection is closed if its client reads nothing of a response for this long: a stuck service exits sooner."""


def connection_limit() -> int:
    """How many connections this process may have."""
    return min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
