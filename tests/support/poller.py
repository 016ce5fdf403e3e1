"""A poller on topics in memory and an inbox on disk, with an API that follows a script."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from support.batches import batch_manifests
from support.twins.shared import CountingLog
from veleta.batches import BatchReader, read_events
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import BatchClosed, Command, CommandAccepted, CommandRefused
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.api_status import ApiStatus
from veleta_poller.bootstrap import start
from veleta_poller.handlers import CommandHandler, ResponseHandler
from veleta_poller.poll_loop import Fetcher, PollLoop
from veleta_poller.ports import ResponseInterrupted, StoredResponse
from veleta_poller.state_store import StateStore
from veleta_poller.topics import Topics

DATASET = load_dataset("real_estate")
GROUP = 7
"""The group whose batches the poller requests."""
END = (400, json.dumps({"detail": "Ya se recolectó toda la información mínima necesaria"}))
COMMANDS = topic(DATASET.name, "commands")


class Asking(NamedTuple):
    """A response that asks to wait, in seconds."""

    status: int
    body: str
    retry_after: float


Scripted = tuple[int, str] | Asking | Exception | str
"""Status and body; an error; or a text, the part that came before the response was interrupted."""


def batch(number: int, price: float = 1.0, group: int = GROUP, **more: object) -> tuple[int, str]:
    """A response with two rows."""
    rows = [{**DATASET.example, "price": price + i, **more} for i in range(2)]
    return 200, json.dumps({"group_number": group, "batch_number": number, "data": rows})


async def until(condition: Callable[[], bool]) -> None:
    """Let the poller run until the condition is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.001)


class Clock:
    """Advances by a second with each call."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


class ScriptedApi:
    """`ports.Api` that follows a script. After its end the service stops."""

    def __init__(
        self, script: Sequence[Scripted], inbox: Inbox, health: ServiceHealth, restarts: list[Retry | None]
    ) -> None:
        self.remaining = list(script)
        self._inbox = inbox
        self._health = health
        self._restarts = restarts
        self.restarted = 0

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        if not self.remaining:
            self._health.stopping.set()
            raise Retry("api", "the script is over")
        scripted = self.remaining.pop(0)
        if isinstance(scripted, Exception):
            raise scripted
        status, text = scripted[:2] if isinstance(scripted, tuple) else (200, scripted)
        try:
            stored = self._store(status, text.encode(errors="surrogateescape"), on_progress, isinstance(scripted, str))
        except Retry as error:
            raise ResponseInterrupted(str(error), error.dependency) from error
        return replace(stored, retry_after=scripted.retry_after) if isinstance(scripted, Asking) else stored

    def _store(self, status: int, body: bytes, on_progress: Callable[[int], None], cut_off: bool) -> StoredResponse:
        with self._inbox.receive(status) as partial:
            partial.write(body)
            on_progress(partial.size)
            if cut_off:
                raise ResponseInterrupted("cut off")
            return partial.complete()

    async def restart(self) -> None:
        self.restarted += 1
        if self._restarts and (error := self._restarts.pop(0)):
            raise error


class FailingLog(CountingLog):
    """Kafka is unreachable at the calls of `publish` in `failures`: "before" or "after" the messages are appended."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, Literal["before", "after"]] = {}
        self.calls = 0

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self.calls += 1
        failure = self.failures.get(self.calls)
        if failure == "before":
            raise Retry("kafka", "unreachable")
        places = super().publish(messages)
        if failure == "after":
            raise Retry("kafka", "no acknowledgement")
        return places


class Scene:
    """A poller and its surroundings. `run` may be called again after `crashed`, on a copy of the inbox."""

    def __init__(self, folder: Path, log: FailingLog | None = None, clock: Clock | None = None) -> None:
        self.folder = folder
        self.log = log or FailingLog()
        self.clock = clock or Clock()
        self.health = ServiceHealth("poller")
        self.restarts: list[Retry | None] = []
        self.max_body = 10**9
        self.group = GROUP
        self.inbox = Inbox(folder, self.clock)
        self.pending: PendingCommands | None = None

    async def run(
        self,
        *script: Scripted,
        at_end: Literal["restart", "stop"] = "restart",
        poll: Literal["auto", "manual"] = "auto",
        interval: float = 0,
    ) -> None:
        """Run the poller until the script ends or the service stops."""
        self.api = ScriptedApi(script, self.inbox, self.health, self.restarts)
        topics, store = Topics(DATASET, self.log, self.clock), StateStore(self.inbox, self.health)
        api_status = ApiStatus(self.health)
        responses = ResponseHandler(
            DATASET, self.group, self.max_body, self.inbox, topics, store, api_status, self.health
        )
        fetcher = Fetcher(self.api, self.inbox, store, self.health)
        with contextlib.suppress(asyncio.CancelledError):
            bounds = partial(self.log.bounds, COMMANDS)
            self.pending = await start(self.inbox, store, responses, bounds, self.health, poll)
            self.pending.on_records(self.log.topics.get(COMMANDS, []))
            async with asyncio.TaskGroup() as group:
                commands = group.create_task(CommandHandler(self.pending, topics, store, self.health).run())
                await PollLoop(fetcher, responses, store, api_status, self.health, at_end, interval).run()
                commands.cancel()

    @asynccontextmanager
    async def running(self, *script: Scripted, **settings: Any) -> AsyncIterator[None]:
        """The poller runs during the block. At its end the service stops."""
        task = asyncio.create_task(self.run(*script, **settings))
        yield
        self.health.stopping.set()
        await task

    def send(self, kind: type[Command], command_id: str) -> None:
        """Publish a command, and deliver it to the poller that runs."""
        event = Event(command_id, "test", self.clock(), kind(dataset=DATASET.name, actor="ana"))
        ((partition, offset),) = self.log.publish([message := encode(COMMANDS, event)])
        if self.pending:
            record = Record(COMMANDS, partition, offset, message.key, message.headers, message.value)
            self.pending.on_records([record])

    def replies(self) -> list[tuple[str, str]]:
        """The id of each command with a reply, and the effect or the reason."""
        payloads = [decode(record).payload for record in self.log.topics.get(COMMANDS, [])]
        replies = [payload for payload in payloads if isinstance(payload, CommandAccepted | CommandRefused)]
        return [(r.command, r.effect if isinstance(r, CommandAccepted) else r.reason) for r in replies]

    def crashed(self, folder: Path, group: int = GROUP) -> "Scene":
        """A new process on the same topics, and on a copy of the inbox as it is now."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.draft"))
        scene = Scene(folder, self.log, self.clock)
        scene.group = group
        return scene

    def published(self, *kinds: type) -> list[Any]:
        """The payloads of these kinds in `batches`."""
        return [event.payload for event in read_events(self.log, DATASET.name) if isinstance(event.payload, kinds)]

    def manifests(self) -> list[BatchClosed]:
        """The valid manifest of each batch, in order."""
        payloads = [event.payload for event in batch_manifests(read_events(self.log, DATASET.name)).values()]
        return [payload for payload in payloads if isinstance(payload, BatchClosed)]

    def closed(self) -> list[tuple[int, int]]:
        """Epoch and number of the valid manifests. Each is compared with its rows."""
        for manifest in self.manifests():
            assert sum(len(rows) for rows in BatchReader(self.log).chunks(manifest)) == manifest.rows
        return [(manifest.epoch, manifest.number) for manifest in self.manifests()]

    def files(self) -> list[str]:
        """The suffixes of the responses in the inbox, and `kept<suffix>` for those in quarantine."""
        return sorted(
            [*self._suffixes(self.folder), *(f"kept{suffix}" for suffix in self._suffixes(self.folder / "kept"))]
        )

    @staticmethod
    def _suffixes(folder: Path) -> Iterator[str]:
        return (path.suffix for path in folder.iterdir() if path.suffix in (".part", ".body"))
