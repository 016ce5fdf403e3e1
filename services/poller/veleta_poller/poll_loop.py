"""When to fetch the next batch, and what a fetch does.

free space on disk ─► request ─► response in the inbox ─► `ResponseHandler` ─► interval or command
"""

import asyncio
import time
from typing import Literal

from veleta.clock import utc_now
from veleta.errors import Retry
from veleta.faults import fault_point
from veleta.service.health import ServiceHealth
from veleta_poller.api_status import ApiStatus
from veleta_poller.domain.responses import HTTP_OK
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import Phase, PollerState
from veleta_poller.handlers import RESPONSES, ResponseHandler
from veleta_poller.ports import Api, Inbox, Overloaded, ResponseInterrupted, StoredResponse
from veleta_poller.state_store import StateStore

CHECK_SECONDS = 0.2
"""The pause between two checks whether a poll is due: a command may shorten or extend the interval."""


class Fetcher:
    """Fetches one response at a time from the API into the inbox."""

    def __init__(self, api: Api, inbox: Inbox, store: StateStore, health: ServiceHealth) -> None:
        self._api = api
        self._inbox = inbox
        self._store = store
        self._health = health

    async def fetch(self) -> StoredResponse | None:
        """Fetch the next response. None if it was interrupted, or if polling was paused before the request."""
        try:
            response = await self._health.retry_until_available(self._request)
        except ResponseInterrupted as error:
            self._health.set_unavailable(error.dependency, str(error))
            self._health.set_activity("the response was interrupted")
            await self.quarantine_partial()
            RESPONSES.labels("interrupted").inc()
            return None
        if response:
            fault_point("poller.received")
        return response

    async def quarantine_partial(self) -> None:
        """Quarantine interrupted responses. One with status 200 and content may have been a batch."""
        await self._health.retry_until_available(self._quarantine_partial)

    async def _quarantine_partial(self) -> None:
        interrupted = await asyncio.to_thread(self._inbox.interrupted)
        if any(response.status == HTTP_OK and response.size > 0 for response in interrupted):
            await self._store.update(PollerState.response_interrupted)
        for response in interrupted:
            await asyncio.to_thread(self._inbox.quarantine, response)

    async def restart_api(self) -> None:
        """Restart the API. The state is saved first: after a crash the next batch's number shows if it restarted."""
        await self._store.update(PollerState.restart_requested)
        fault_point("poller.restarting")
        await self._health.heartbeat_during(self._health.retry_until_available(self._restart))
        fault_point("poller.restarted")
        self._health.set_activity("restarted the API")

    async def _restart(self) -> None:
        """Call the API once. If it asks to wait, wait."""
        try:
            await self._api.restart()
        except Overloaded as error:
            self._health.set_unavailable(error.dependency, str(error))
            await self._health.sleep(error.seconds)
            raise

    async def _request(self) -> StoredResponse | None:
        await asyncio.to_thread(self._inbox.require_free_space, self._store.state.largest_response)
        self._health.set_available("disk")
        if not self._store.state.poll_mode.allows_poll:
            return None
        await self._store.update(PollerState.poll_started)
        fault_point("poller.requesting")
        self._health.set_activity(f"waiting for the response to GET /data, sent at {utc_now():%H:%M:%S} UTC")
        try:
            return await self._health.heartbeat_during(
                self._api.fetch(lambda size: self._health.set_activity(f"receiving a batch ({size >> 10} KiB so far)"))
            )
        except Retry:
            await self._store.update(PollerState.poll_failed)
            raise


class PollLoop:
    """Fetches batch after batch until the service stops, at the interval (seconds) and on command."""

    def __init__(
        self,
        fetcher: Fetcher,
        responses: ResponseHandler,
        store: StateStore,
        api_status: ApiStatus,
        health: ServiceHealth,
        at_end: Literal["restart", "stop"],
        interval: float,
    ) -> None:
        self._fetcher = fetcher
        self._responses = responses
        self._store = store
        self._api_status = api_status
        self._health = health
        self._at_end = at_end
        self._interval = interval

    async def run(self) -> None:
        """Handle what an earlier process left in the inbox, then poll."""
        self._health.set_activity("no batch fetched yet")
        await self._fetcher.quarantine_partial()
        await self._handle(None)
        interval = 0.0
        while await self._wait_until_due(interval):
            fetched = await self._fetcher.fetch()
            await self._handle(fetched)
            interval = self._pause(fetched)
        while await self._health.sleep(CHECK_SECONDS):
            pass  # heartbeats continue

    async def _handle(self, fetched: StoredResponse | None) -> None:
        await self._responses.handle_all(fetched)
        if self._store.state.phase is not Phase.END_OF_DATA:
            return
        if self._at_end == "restart":
            if self._store.state.restarting:
                self._health.set_unavailable("api", "GET /data answered the end of the data again, after a restart")
            await self._fetcher.restart_api()
        else:
            if self._store.state.position == Position():
                self._health.set_unavailable("api", "GET /data answered the end of the data before the first batch")
            await self._store.update(PollerState.polling_ended)
            self._health.mark_started()

    def _pause(self, fetched: StoredResponse | None) -> float:
        """The seconds until the next request."""
        if fetched is None:
            return self._interval
        if fetched.retry_after:
            self._health.set_activity(f"{self._health.activity}; the API asks to wait {fetched.retry_after:.0f} s")
        return self._api_status.pause(self._interval, fetched.retry_after)

    async def _wait_until_due(self, interval: float) -> bool:
        """Wait until a poll is due by the interval or by command. Returns False if none will be."""
        activity, due_at = self._health.activity, time.monotonic() + interval
        while not self._health.stopping.is_set() and not self._health.stop_reason:
            mode, remaining = self._store.state.poll_mode, due_at - time.monotonic()
            if self._store.state.phase is Phase.ENDED:
                return False
            if mode.requested or (remaining <= 0 and mode.allows_poll):
                return True
            next_poll = "paused" if mode.paused else f"next request in {remaining:.0f} s"
            self._health.set_activity(f"{activity}; {next_poll}")
            if mode.paused:
                self._health.mark_started()  # a paused poller is ready without a response
            await self._health.sleep(CHECK_SECONDS if mode.paused else min(remaining, CHECK_SECONDS))
        return False
