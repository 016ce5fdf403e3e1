"""Whether the data API serves batches: its part of the readiness, and when a refused request is repeated."""

from veleta.service.health import ServiceHealth

MAX_REFUSALS = 3
"""From this many refused responses in a row on, the API counts as unavailable."""
REPEAT_SECONDS, MAX_DOUBLINGS = 5.0, 10
"""The pause after the first refused response. It doubles with each further one, up to the interval of polling."""


class ApiStatus:
    """Counts refused responses. Single ones between batches do not affect the readiness.

    Until the first valid response of this process, one is enough: the address may be wrong.
    """

    def __init__(self, health: ServiceHealth) -> None:
        self._health = health
        self._refusals = 0
        self._served = False

    def accept(self) -> None:
        """A batch or the end of the data came."""
        self._refusals, self._served = 0, True
        self._health.set_available("api")

    def refuse(self, reason: str) -> None:
        """The response was no batch, or a batch without rows."""
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS or not self._served:
            self._health.set_unavailable("api", reason)
        else:
            self._health.set_available("api")

    def pause(self, interval: float, retry_after: float) -> float:
        """The seconds before the next request; `interval` is that of polling, `retry_after` the API's wish."""
        if not self._refusals:
            return interval
        backoff = REPEAT_SECONDS * 2.0 ** min(self._refusals - 1, MAX_DOUBLINGS)
        return max(retry_after, min(interval, backoff))
