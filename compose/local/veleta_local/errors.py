"""The errors of this package."""


class LocalError(Exception):
    """A command cannot continue. The message is one line for the user, with what to do."""


class RunStopped(LocalError):
    """Another command stopped the run that this one uses."""


class StartFailed(LocalError):
    """A start cannot succeed. Its processes may run."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the start failed: {reason}")
