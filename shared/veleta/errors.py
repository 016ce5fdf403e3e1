"""Errors are named by what the caller must do.

VeletaError
├── Retry      a dependency is unavailable: wait and repeat the call
├── Reject     this input can never be processed: dead-letter it and continue
├── StateLost  the database or a topic lost state: restart from what it has
└── Stop       this process cannot continue: report why and exit
"""

MAX_REASON_LENGTH = 200
"""Characters of an external text (an error, a response) that a reason includes."""


def one_line(reason: object) -> str:
    """The first MAX_REASON_LENGTH characters of a text, such as another error's, in one line."""
    return " ".join(str(reason).split())[:MAX_REASON_LENGTH]


class VeletaError(Exception):
    """The root of every error that Veleta raises itself."""


class Retry(VeletaError):
    """A dependency is unavailable; the same call may succeed later. `dependency` names it, as in `kafka`."""

    def __init__(self, dependency: str, reason: object) -> None:
        """The first MAX_REASON_LENGTH characters of the reason (often another error's text) are used, in one line."""
        super().__init__(f"{dependency}: {one_line(reason)}")
        self.dependency = dependency


class Reject(VeletaError):
    """This input cannot be processed, however often it is tried. `reason` is short and the same for the same fault."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class StateLost(VeletaError):
    """State disappeared: a table or a topic was wiped, or restored from an old copy."""


class Stop(VeletaError):
    """The process must not continue: a wrong setting, a topic that differs from its declaration."""
