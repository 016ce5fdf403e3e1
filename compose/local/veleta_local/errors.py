"""The error of this package."""


class LocalError(Exception):
    """A command cannot continue. The message is one line for the user, with what to do."""


class RunStopped(LocalError):
    """Another command stopped the run that this one uses."""
