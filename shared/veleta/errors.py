"""Errors are named by what the caller must do.

VeletaError
├── Retry    something is away: wait and do the same again
├── Reject   this input will never work: dead-letter it and go on
├── Lost     the database or the topics know less than before: begin again where they stand
└── Stop     this process cannot go on: say why and end
"""

LONGEST_REASON = 200
"""Characters of somebody else's text (an error, an answer) that a reason keeps."""


class VeletaError(Exception):
    """The root of every error that Veleta raises itself."""


class Retry(VeletaError):
    """Something this needs is away for now; the same call may succeed later. `what` names it, as in `kafka`."""

    def __init__(self, what: str, reason: object) -> None:
        """Of the reason (often another error's text) the first LONGEST_REASON characters are kept, in one line."""
        super().__init__(f"{what}: {' '.join(str(reason).split())[:LONGEST_REASON]}")
        self.what = what


class Reject(VeletaError):
    """This input cannot be processed, however often it is tried. `reason` is short and the same for the same fault."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Lost(VeletaError):
    """What was there is gone (a table or a topic was wiped, or restored from an old copy): begin again from there."""


class Stop(VeletaError):
    """The process must not go on: a wrong setting, a topic that differs from its declaration."""
