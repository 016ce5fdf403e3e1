"""Whether the data API serves batches: its part of the readiness, and when a refused request is repeated."""

from veleta.service.health import ServiceHealth
from veleta_poller.domain.responses import InvalidResponse, Response

MAX_REFUSALS = 3
"""From this many refused responses in a row on, the API counts as unavailable."""
REPEAT_SECONDS, MAX_DOUBLINGS = 5.0, 10
"""The pause after the first refused response. It doubles with each further one, up to the interval of polling."""


class ApiStatus:
    """Counts refused responses. Single ones between batches do not affect the readiness.

    Until the first valid response of this process, one is enough: the address may be wrong. The poller has started when
    the API has responded.
    """

    def __init__(self, health: ServiceHealth) -> None:
        self._health = health
        self._refusals = 0
        self._served = False

    def update(self, response: Response) -> None:
        """Record a response of the API."""
        if isinstance(response, InvalidResponse):
            self._refusals += 1
        else:
            self._refusals, self._served = 0, True
        if isinstance(response, InvalidResponse) and (self._refusals >= MAX_REFUSALS or not self._served):
            self._health.set_unavailable("api", response.reason)
        else:
            self._health.set_available("api")
        self._health.mark_started()

    def pause(self, interval: float, retry_after: float) -> float:
        """The seconds before the next request; `interval` is that of polling, `retry_after` the API's wish."""
        if not self._refusals:
            return interval
        backoff = REPEAT_SECONDS * 2.0 ** min(self._refusals - 1, MAX_DOUBLINGS)
        return max(retry_after, min(interval, backoff))
