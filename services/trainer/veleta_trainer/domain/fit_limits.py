"""The limits of the child process that fits a model."""

from dataclasses import dataclass

from veleta.errors import Reject

MEGABYTE = 2**20


@dataclass(frozen=True)
class FitLimits:
    """How long the process may run, in seconds, and how much memory it may use, in bytes."""

    seconds: float
    memory: int

    def check(self, seconds: float, memory: int) -> None:
        """Compare what the process has used.

        Raises:
            Reject: it exceeds a limit. To repeat the training would not help.
        """
        if seconds > self.seconds:
            raise Reject(
                "the training took longer than its limit",
                f"{self.seconds:g} s. Raise FIT_SECONDS, or train fewer trees (TREES) or rows",
            )
        if memory > self.memory:
            used, limit = (f"{size / MEGABYTE:,.0f} MB" for size in (memory, self.memory))
            raise Reject(
                "the training needs more memory than its limit",
                f"{used} of {limit}. Raise FIT_MEMORY, or train on fewer rows",
            )
